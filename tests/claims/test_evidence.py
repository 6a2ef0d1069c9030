"""How the models and baselines of a study hang together."""

import pytest

from pipeline.claims.evidence import differing, relations
from tests.claims.making import manifest

WORLD = {"tokenizer": {"kind": "world"}, "bos": None}
GPT2 = WORLD | {"tokenizer": {"kind": "gpt2"}}
SHUFFLED = WORLD | {"tokenizer": {"kind": "world", "shuffle_words": 0}}


def test_models_of_the_same_weights():
    manifests = {
        "tuned": manifest(adapter="a"),
        "finch": manifest(),
        "other": manifest(weights="x"),
        "as-published": manifest(tokens=GPT2, ids="j", passed=False),
        "tuned-again": manifest(adapter="b"),
        "both": manifest(adapter="a", tokens=GPT2, ids="j"),
        "shuffled": manifest(tokens=SHUFFLED, ids="k"),
        "untrained": manifest(seed=0, passed=None),
        "values": manifest(readout="values"),
    }
    found = relations(manifests, {})
    assert found.tuned == {"tuned": "finch", "tuned-again": "finch", "both": "as-published"}
    assert found.conditions == [
        ("tuned", "finch", "fine-tuning"),
        ("tuned-again", "finch", "fine-tuning"),
        ("both", "as-published", "fine-tuning"),
        ("as-published", "finch", "tokenizer"),
        ("both", "tuned", "tokenizer"),
        ("shuffled", "finch", "shuffled words"),
        ("values", "finch", "readout"),
    ]
    assert found.untrained == ["untrained"]
    assert found.unread == ["as-published"]
    assert found.readouts == {"values": "values"}


@pytest.mark.parametrize(
    ("second", "names"),
    [
        (manifest(), []),
        (manifest(weights="x"), None),
        (manifest(seed=1), None),
        (manifest(ids="j"), ["token ids"]),
        (manifest(readout="values"), ["readout"]),
        (manifest(readout="values", ids="j", adapter="a"), ["adapter", "token ids", "readout"]),
        (manifest(tokens=WORLD | {"bos": 1}, ids="j"), ["bos"]),
        (manifest(tokens=SHUFFLED, ids="k"), ["shuffled words"]),
        (manifest(tokens=GPT2 | {"bos": 1}, ids="j", adapter="a"), ["adapter", "bos", "tokenizer"]),
    ],
)
def test_in_what_two_manifests_differ(second, names):
    assert differing(manifest(), second) == names


def test_kinds_of_baselines():
    vectors, encoder = {"coverage": 0.9, "measures": []}, {"modules": ["Transformer"], "measures": []}
    infos = {"first": vectors, "GloVe-6b": vectors, "e": encoder, "words": {"measures": ["dice", "tfidf"]}}
    found = relations({}, infos | {"random": {"measures": []}})
    assert (found.vectors, found.encoders, found.overlap) == ("GloVe-6b", ["e"], "words")
    assert relations({}, {"a": vectors, "b": vectors}).vectors == "a"
    assert relations({}, {}).vectors is None
