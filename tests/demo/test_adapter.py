"""The adapter that comes with the project."""

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pipeline.catalog.entries import entry
from pipeline.models import load, weights
from pipeline.models.layers import hidden_layers
from tests.helpers import ROOT

MEGABYTE = 1_000_000


@pytest.fixture
def entries(monkeypatch):
    """demo and demo-tuned of the committed catalogue, where the extra `finetune` is not installed."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setitem(sys.modules, "peft", None)
    return [entry("models", name) for name in ("demo", "demo-tuned")]


def test_it_is_small_and_every_matrix_has_learned(entries):
    folder = Path(entries[1].adapter)
    assert sum(file.stat().st_size for file in folder.iterdir()) <= MEGABYTE
    tensors = load_file(folder / "adapter_model.safetensors")
    assert tensors
    for name, tensor in tensors.items():
        assert tensor.isfinite().all(), name
        assert tensor.abs().max() > 0, name


def test_it_loads_without_peft_and_changes_every_layer_but_the_embeddings(entries):
    ids = torch.arange(300, 320)[None]
    of_base, of_tuned = (hidden_layers(load.load(given, weights.locate(given, "x"), "x"), ids) for given in entries)
    assert torch.equal(of_base[0], of_tuned[0])
    for before, after in zip(of_base[1:], of_tuned[1:]):
        assert not torch.allclose(before, after, rtol=1e-3)
