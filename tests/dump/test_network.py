"""The network of a dump: how often it is loaded."""

import gc
import pickle
import weakref

import pytest
import torch

from pipeline.catalog.entries import Model
from pipeline.dump.network import Network
from pipeline.models.rwkv6 import Rwkv6ForCausalLM
from pipeline.models.rwkv6_config import Rwkv6Config


@pytest.fixture
def network(tmp_path):
    """A function: another network of the weights in a folder, which a seed draws."""

    def write(seed):
        torch.manual_seed(seed)
        config = Rwkv6Config(vocab_size=64, hidden_size=16, num_hidden_layers=1, head_size=8)
        Rwkv6ForCausalLM(config).save_pretrained(tmp_path / "model")
        entry = Model(path=str(tmp_path / "model"), tokenizer="bytes")
        return Network(entry, tmp_path / "model", "m", "float32", "cpu", torch.get_num_threads())

    return write


def test_copies_share_what_was_loaded(network, rng):
    one = network(int(rng.integers(2**31)))
    assert pickle.loads(pickle.dumps(one))() is one()


def test_another_network_is_loaded_anew_though_it_looks_the_same_and_the_first_is_freed(network, rng):
    """Its file may have changed."""
    seeds = rng.choice(2**31, 2, replace=False).tolist()
    one = network(seeds[0])
    first, freed = next(one().parameters()).clone(), weakref.ref(one())
    other = network(seeds[1])
    assert not torch.equal(next(other().parameters()), first)
    gc.collect()
    assert freed() is None
