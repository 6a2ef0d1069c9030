"""What attention looks at, by hand."""

import numpy as np
import polars as pl
import pytest

from pipeline.analyse import attention
from pipeline.analyse.attention import inverse_document_frequencies, look
from pipeline.formats.tokens import Tokens

PAIRS = pl.DataFrame(
    {
        "pair_id": [3, 1, 2],
        "split": ["train", "test", "test"],
        "sentence1_id": [7, 0, 1],
        "sentence2_id": [7, 1, 2],
    }
)
"""the last split, in the order of pair_id, is train"""
LAST_IS_TEST = PAIRS.with_columns(pair_id=pl.Series([0, 1, 2]))
WEIGHTS = {0: [0.7, 0.1, 0.2], 1: [0.25, 0.75], 2: [1.0], 7: [0.9, 0.1]}
IDS = {7: [10, 11], 2: [12], 0: [10, 11, 13], 1: [14, 11]}
TEXTS = {10: "The", 11: " cat", 12: "Fox", 13: " *", 14: "a"}
PIECES = {7: ["The", " cat"], 2: ["Fox"], 0: ["The", " cat", " *"], 1: ["a", " cat"]}


def looked_at(pairs=LAST_IS_TEST, weights=WEIGHTS, texts=TEXTS):
    """`look` at the sentences above, whose tokens are not in the order of their ids."""
    ids = [np.array(tokens, dtype=np.int32) for tokens in IDS.values()]
    tokens = Tokens("m", np.array(list(IDS)), ids, texts, np.zeros(len(ids), bool), {})
    as_read = {i: np.array(values, dtype=np.float32) for i, values in weights.items()}
    return look(as_read, tokens, pairs, "4")


def test_three_sentences_by_hand(monkeypatch):
    monkeypatch.setattr(attention, "RARE", 1)
    found = looked_at()
    assert {name: found[name] for name in ("layer", "sentences", "flat")} == {
        "layer": "4",
        "sentences": 3,
        "flat": False,
    }
    # multiples of 1 / T: 2.1 .3 .6, .5 1.5, 1, ranks 6 1 3, 2 5, 4. idf of ids that the one train sentence holds: 0,
    # of the others: ln 2, ranks 2 2 5, 5 2, 5. Place 0 .5 1, 0 1, 0: ranks 2 4 5.5, 2 5.5, 2
    ranks = [6, 1, 3, 2, 5, 4]
    assert found["by_idf"] == pytest.approx(np.corrcoef(ranks, [2, 2, 5, 5, 2, 5])[0, 1], abs=1e-12)
    assert found["by_position"] == pytest.approx(np.corrcoef(ranks, [2, 4, 5.5, 2, 5.5, 2])[0, 1], abs=1e-12)
    lightest_first = [["a", 0.5], [" *", 0.6], [" cat", 0.9], ["Fox", 1.0], ["The", 2.1]]
    assert [piece for piece, _ in found["least"]] == [piece for piece, _ in lightest_first]
    assert [weight for _, weight in found["least"]] == pytest.approx([w for _, w in lightest_first], rel=1e-6)
    assert found["most"] == found["least"][::-1]
    assert [example["pieces"] for example in found["examples"]] == [PIECES[i] for i in (0, 1, 2)]
    assert found["examples"][0]["weights"] == pytest.approx([2.1, 0.3, 0.6], rel=1e-6)


def test_the_sentences_are_those_of_the_last_split(monkeypatch):
    monkeypatch.setattr(attention, "RARE", 1)
    found = looked_at(PAIRS)
    assert found["sentences"] == 1
    assert [example["pieces"] for example in found["examples"]] == [PIECES[7]]


def test_rare_and_unreadable_pieces_are_not_listed_and_few_at_either_end(monkeypatch):
    found = looked_at()
    assert (found["most"], found["least"]) == ([], [])
    monkeypatch.setattr(attention, "RARE", 1)
    monkeypatch.setattr(attention, "LISTED", 2)
    monkeypatch.setattr(attention, "EXAMPLES", 1)
    found = looked_at(texts=TEXTS | {12: "  ", 14: "\u00e9"})
    assert [piece for piece, _ in found["most"]] == ["The", " cat"]
    assert [piece for piece, _ in found["least"]] == [" *", " cat"]
    assert len(found["examples"]) == 1


def test_letters_one_by_one_are_no_examples():
    assert looked_at(texts={10: "T", 11: "e", 12: "F", 13: "h", 14: "d"})["examples"] == []


def test_where_attention_did_not_look_there_is_nothing_to_show():
    assert looked_at(weights={}) is None


def test_attention_that_is_the_mean_is_flat_and_has_nothing_to_show():
    mean = {i: np.full(len(pieces), 1 / len(pieces)) for i, pieces in PIECES.items()}
    assert looked_at(weights=mean) == {
        **{"layer": "4", "sentences": 3, "flat": True, "by_idf": None, "by_position": None},
        **{"most": [], "least": [], "examples": []},
    }


def test_idf_by_a_loop_over_the_train_sentences(rng):
    sentence_ids, ids = rng.permutation(20), [rng.integers(0, 9, rng.integers(1, 6)) for _ in range(20)]
    ids[3] = np.array([9])  # in no train sentence, or in one
    train = rng.permutation(20)[:12]
    tokens = Tokens("m", sentence_ids, ids, None, np.zeros(20, bool), {})
    found = inverse_document_frequencies(tokens, train)
    held = [set(row.tolist()) for name, row in zip(sentence_ids, ids) if name in train]
    for row, values in zip(ids, found):
        expected = [np.log((12 + 1) / (sum(i in sentence for sentence in held) + 1)) for i in row.tolist()]
        assert values.tolist() == pytest.approx(expected, rel=1e-6)  # float32
