"""Where weights lie and what determines them."""

import json
import time

import pytest
import torch

from pipeline.base.errors import InputError
from pipeline.catalog.entries import Model, entry
from pipeline.models import weights
from pipeline.models.configs import folder_config, random_config
from pipeline.models.load import load
from pipeline.models.weights import drawn, fingerprint, locate
from tests.helpers import ROOT

RANDOM = {"model_type": "rwkv6", "vocab_size": 80, "hidden_size": 32, "num_hidden_layers": 2, "head_size": 8}


def test_fingerprint_follows_contents_and_config_not_place(tmp_path):
    model = load(Model(random=0, config=RANDOM), None, "m")
    for name in ("a", "b"):
        model.save_pretrained(tmp_path / name)
    a, b = (Model(path=str(tmp_path / name)) for name in ("a", "b"))
    assert fingerprint(a, tmp_path / "a") == fingerprint(b, tmp_path / "b")
    changed = Model(path=a.path, config={"head_size_divisor": 1})
    assert fingerprint(changed, tmp_path / "a") != fingerprint(a, tmp_path / "a")
    with torch.no_grad():
        model.head.weight[0, 0] += 1
    model.save_pretrained(tmp_path / "b")
    assert fingerprint(a, tmp_path / "a") != fingerprint(b, tmp_path / "b")


def test_fingerprint_of_random_weights_is_the_seed_and_the_sizes():
    entry = Model(random=3, config=RANDOM)
    assert locate(entry, "m") is None
    assert fingerprint(entry, None) == {"random": 3, "config": RANDOM}


DEMO = str(ROOT / "data/demo/model")


def weights_of(entry):
    entry = drawn(entry, "m")
    return load(entry, locate(entry, "m"), "m")


def same(a, b):
    a, b = (model.state_dict() for model in (a, b))
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_random_weights_of_a_folder_are_those_of_its_config_written_out():
    """demo-untrained of the catalogue has the sizes of the model demo by hand."""
    by_hand = entry("models", "demo-untrained", ROOT / "catalog.yaml")
    assert same(weights_of(Model(path=DEMO, random=0)), weights_of(by_hand))
    assert not same(weights_of(Model(path=DEMO, random=1)), weights_of(by_hand))
    assert not same(weights_of(Model(path=DEMO, random=0)), weights_of(Model(path=DEMO)))
    assert weights_of(Model(path=DEMO, random=0)).dtype == torch.float32, "whatever type the file was saved in"
    assert weights_of(Model(path=DEMO, random=0, config={"num_hidden_layers": 2})).config.num_hidden_layers == 2


@pytest.mark.parametrize(
    "sizes",
    [
        {"model_type": "llama", "hidden_size": 32, "num_attention_heads": 4, "rope_theta": 123.0, "rms_norm_eps": 0.1},
        {"model_type": "gpt2", "n_embd": 32, "n_layer": 3, "n_head": 4, "n_ctx": 12, "task_specific_params": {"a": 1}},
        {"model_type": "mamba", "hidden_size": 32, "num_hidden_layers": 3},
    ],
    ids=lambda sizes: sizes["model_type"],
)
def test_the_config_of_a_folder_is_taken_in_full_but_for_how_it_was_saved(tmp_path, sizes):
    ends = {"bos_token_id": 1, "eos_token_id": 2}
    saved = sizes | ends | {"vocab_size": 80, "dtype": "float16", "architectures": ["X"], "transformers_version": "4"}
    (tmp_path / "config.json").write_text(json.dumps(saved))
    full = drawn(Model(path=str(tmp_path), random=0), "m").config
    kept, whole = (config.to_diff_dict() for config in (random_config(full, "m"), folder_config(tmp_path, {})))
    gone = {"n_ctx", "task_specific_params", "dtype", "architectures", "transformers_version"}
    assert {name: value for name, value in whole.items() if name not in gone} == {
        name: value for name, value in kept.items() if name not in gone
    }
    assert weights_of(Model(path=str(tmp_path), random=0)).dtype == torch.float32


def test_the_fingerprint_of_random_weights_of_a_folder_follows_its_config_and_the_seed(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(RANDOM))
    given = [Model(path=str(tmp_path), random=0), Model(path=str(tmp_path), random=1)]
    given.append(Model(path=str(tmp_path), random=0, config={"head_size": 16}))
    prints = [fingerprint(drawn(each, "m"), locate(each, "m")) for each in given]
    (tmp_path / "config.json").write_text(json.dumps(RANDOM | {"hidden_size": 64}))
    prints.append(fingerprint(drawn(given[0], "m"), None))
    assert all(a != b for i, a in enumerate(prints) for b in prints[:i])
    assert prints[0]["random"] == 0
    assert prints[0]["config"].items() >= RANDOM.items()
    assert json.loads(json.dumps(prints[0])) == prints[0]


@pytest.mark.parametrize("given", [Model(path="x"), Model(hub="a/b"), Model(random=0, config=RANDOM)])
def test_other_entries_are_as_they_are(given):
    assert drawn(given, "m") is given


def test_of_the_hub_only_the_config_is_fetched_for_random_weights(monkeypatch, tmp_path):
    asked = []

    def snapshot(repo, revision, patterns, what):
        asked.append((repo, revision, patterns))
        return tmp_path

    monkeypatch.setattr(weights, "snapshot", snapshot)
    commit = "0123456789" * 4
    given = Model(hub="someone/model", revision=commit, random=0)
    message = r"model m is to have random weights of the config in .*, which has no config\.json: give `config`"
    with pytest.raises(InputError, match=message):
        drawn(given, "m")
    (tmp_path / "config.json").write_text(json.dumps(RANDOM))
    assert drawn(given, "m").config.items() >= RANDOM.items()
    assert locate(given, "m") is None
    assert asked == [("someone/model", commit, weights.DESCRIPTIONS)] * 2


def test_pickles_of_the_hub_are_fetched_only_where_there_is_nothing_better(monkeypatch, tmp_path):
    asked = []

    def snapshot(repo, revision, patterns, what):
        asked.append((repo, revision, patterns[-1]))
        return tmp_path

    monkeypatch.setattr(weights, "snapshot", snapshot)
    commit = "0123456789" * 4
    entry = Model(hub="someone/model", revision=commit)
    assert locate(entry, "m") == tmp_path
    assert asked == [("someone/model", commit, "*.safetensors"), ("someone/model", commit, "*.bin")]
    asked.clear()
    (tmp_path / "model.safetensors").touch()
    assert locate(entry, "m") == tmp_path
    assert asked == [("someone/model", commit, "*.safetensors")]


@pytest.mark.parametrize("fields", [{}, {"hub": "a/b", "path": "x.pth"}, {"hub": "a/b", "path": "x", "random": 0}])
def test_a_model_has_exactly_one_source(fields):
    message = r"model m has (no source|hub and path( and random)?): give exactly one of hub, path, random"
    with pytest.raises(InputError, match=message):
        locate(Model(**fields), "m")


def test_a_path_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"model m: .*nowhere\.pth does not exist \(looked at /"):
        locate(Model(path=str(tmp_path / "nowhere.pth")), "m")


def test_a_model_of_the_hub_without_a_network_says_what_it_needs_and_what_to_do(monkeypatch, tmp_path):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    started = time.monotonic()
    message = r"model big needs nobody/nothing@main from the Hugging Face hub.*HF_HUB_OFFLINE.* as `path`"
    with pytest.raises(InputError, match=message):
        locate(Model(hub="nobody/nothing"), "big")
    assert time.monotonic() - started < 10
