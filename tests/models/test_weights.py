"""Where weights lie and what determines them."""

import time

import pytest
import torch

from pipeline.base.errors import InputError
from pipeline.catalog.entries import Model
from pipeline.models import weights
from pipeline.models.load import load
from pipeline.models.weights import fingerprint, locate

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


@pytest.mark.parametrize("fields", [{}, {"random": 0, "path": "x.pth"}])
def test_a_model_has_exactly_one_source(fields):
    message = r"model m has (no source|path and random): give exactly one of hub, path, random"
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
