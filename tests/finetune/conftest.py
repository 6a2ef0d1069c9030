"""Tiny models of several families, and settings of the stage."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.catalog.entries import Model
from pipeline.finetune.pairs import TrainPairs
from pipeline.finetune.settings import Finetune
from pipeline.models import load

CONFIGS = {
    "rwkv6": {"model_type": "rwkv6", "vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 3, "head_size": 8},
    "rwkv": {"model_type": "rwkv", "vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 3},
    "rwkv5": {"model_type": "rwkv5", "vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 3, "head_size": 8},
    "rwkv7": {"model_type": "rwkv7", "vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 3, "head_dim": 8},
    "llama": {
        "model_type": "llama",
        "vocab_size": 40,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
    },
    "bert": {
        "model_type": "bert",
        "vocab_size": 40,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
    },
    "gpt2": {"model_type": "gpt2", "vocab_size": 40, "n_embd": 16, "n_layer": 3, "n_head": 2, "bos_token_id": 0},
}


@pytest.fixture(autouse=True)
def seeded(seed):
    """Torch draws from the fresh seed that is shown when a test fails."""
    torch.manual_seed(seed)


@pytest.fixture
def network(seed):
    """A function: a model of a family with random weights."""
    return lambda family: load.load(Model(random=seed, config=CONFIGS[family]), None, family)


@pytest.fixture
def settings():
    """A function: settings with changes."""
    usual = Finetune(
        dataset=None,
        method="lora",
        rank=4,
        loss="cosent",
        positive=None,
        layer=-1,
        pooling="mean",
        epochs=3,
        patience=3,
        folds=4,
        batch_pairs=4,
        accumulate=1,
        learning_rate=0.01,
        scale=20.0,
        dropout=0.1,
        recompute=False,
        seed=0,
        shuffle_labels=False,
    )
    return lambda **changes: replace(usual, **changes)


@pytest.fixture
def material(rng):
    """A function: n pairs of texts of their own, labels 0 and 1 in turn, and the token ids of the texts."""

    def made(count):
        pairs = TrainPairs(
            texts=[str(number) for number in range(2 * count)],
            first=np.arange(count),
            second=np.arange(count) + count,
            labels=np.arange(count) % 2.0,
            component=np.arange(count),
            left_out=0,
        )
        return pairs, [rng.integers(1, 40, rng.integers(3, 9)).astype(np.int32) for _ in range(2 * count)]

    return made
