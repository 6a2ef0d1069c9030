from itertools import pairwise

import numpy as np
import polars as pl
import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM

from pipeline.catalog import Model
from pipeline.cli import device_of
from pipeline.dumping import check_lengths
from pipeline.gate import gate_of
from pipeline.layers import hidden_layers
from pipeline.models import fingerprint, load, locate
from pipeline.rwkv6 import Rwkv6ForCausalLM

RANDOM = {"model_type": "rwkv6", "vocab_size": 80, "hidden_size": 32, "num_hidden_layers": 2, "head_size": 8}


def loaded(entry, dtype="float32"):
    return load(entry, locate(entry, "x"), "x", dtype)


def test_random_weights_follow_the_seed_alone():
    torch.manual_seed(1)
    one = loaded(Model(random=3, config=RANDOM))
    torch.manual_seed(2)
    same, other = loaded(Model(random=3, config=RANDOM)), loaded(Model(random=4, config=RANDOM))
    weights = one.state_dict()
    assert isinstance(one, Rwkv6ForCausalLM)
    assert all(torch.equal(weights[name], p) for name, p in same.state_dict().items())
    assert not torch.equal(weights["head.weight"], other.state_dict()["head.weight"])


def test_every_block_of_an_untrained_model_does_something():
    """BlinkDL's initial values would leave the residual stream as it is: no control at all."""
    layers = hidden_layers(loaded(Model(random=0, config=RANDOM)), torch.randint(0, 80, (2, 12)))
    assert all((b - a).norm() > 0.1 * a.norm() for a, b in pairwise(layers))


@pytest.mark.parametrize("family", ["gpt2", "rwkv", "bert", "rwkv6"])
def test_a_folder_in_the_hubs_layout_loads_offline_with_its_head(family, tmp_path):
    sizes = {"gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4}, "rwkv6": {"head_size": 8}}.get(family, {"num_attention_heads": 4, "intermediate_size": 64})
    config = AutoConfig.for_model(family, vocab_size=80, hidden_size=32, num_hidden_layers=2, **sizes)
    auto = AutoModel if family == "bert" else AutoModelForCausalLM
    original = auto.from_config(config).eval()
    original.save_pretrained(tmp_path)
    model = loaded(Model(path=str(tmp_path)))
    assert type(model) is type(original)
    assert not model.training
    assert all(torch.equal(a, b) for a, b in zip(original.state_dict().values(), model.state_dict().values()))
    assert not any(p.requires_grad for p in model.parameters())


def test_rescaling_of_rwkv4_is_off(tmp_path):
    """RWKV-4 in transformers halves the stream every `rescale_every` blocks at inference; a stored layer must not be halved."""
    config = AutoConfig.for_model("rwkv", vocab_size=80, hidden_size=32, num_hidden_layers=4, rescale_every=2)
    original = AutoModelForCausalLM.from_config(config)
    original.save_pretrained(tmp_path)
    model, ids = loaded(Model(path=str(tmp_path))), torch.randint(0, 80, (1, 6))
    layers = hidden_layers(model, ids)
    before = model.rwkv.blocks[3].attention.output.weight.clone()
    assert torch.equal(before, original.rwkv.blocks[3].attention.output.weight)
    with torch.inference_mode():
        after, _, _ = model.rwkv.blocks[3](layers[3], use_cache=False)
    assert torch.allclose(after, layers[4], atol=1e-5)


def test_bfloat16_weights_and_unknown_types():
    assert loaded(Model(random=0, config=RANDOM), "bfloat16").head.weight.dtype == torch.bfloat16
    with pytest.raises(ValueError, match=r"dump.dtype is 'float8', expected one of float32, bfloat16"):
        loaded(Model(random=0, config=RANDOM), "float8")


def test_fingerprint_follows_contents_and_config_not_place(tmp_path):
    model = loaded(Model(random=0, config=RANDOM))
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


def test_pickled_weights_in_the_hubs_layout_load_as_tensors_only(tmp_path):
    """As RWKV/v6-Finch-1B6-HF has them. A pickle that runs code on loading is refused and runs nothing."""
    original = loaded(Model(random=0, config=RANDOM))
    original.config.architectures = ["Rwkv6ForCausalLM"]
    original.config.save_pretrained(tmp_path)
    torch.save(original.state_dict(), tmp_path / "pytorch_model.bin")
    model = loaded(Model(path=str(tmp_path)))
    assert all(torch.equal(a, b) for a, b in zip(original.state_dict().values(), model.state_dict().values()))

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    torch.save(original.state_dict() | {"x": Evil()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(Exception, match=r"(?i)weights.only|unsupported"):
        loaded(Model(path=str(tmp_path)))
    assert not (tmp_path / "owned").exists()


def test_a_masked_language_model_loads_without_its_head_and_has_no_bits_per_byte(tmp_path):
    sizes = {"vocab_size": 80, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    original = AutoModelForMaskedLM.from_config(AutoConfig.for_model("bert", **sizes)).eval()
    original.save_pretrained(tmp_path)
    model, ids = loaded(Model(path=str(tmp_path))), torch.randint(0, 80, (1, 6))
    assert all(torch.equal(a, b) for a, b in zip(hidden_layers(original, ids), hidden_layers(model, ids)))
    assert gate_of(model, [np.arange(6)], pl.Series(["abcdef"]), np.array([False]), 100) is None


@pytest.mark.parametrize("family", ["gpt2", "llama", "mamba"])
def test_base_models_have_no_bits_per_byte(family):
    sizes = {"gpt2": {"n_head": 4}, "llama": {"num_attention_heads": 4, "intermediate_size": 64}}.get(family, {})
    model = AutoModel.from_config(AutoConfig.for_model(family, vocab_size=80, hidden_size=32, num_hidden_layers=2, **sizes))
    assert gate_of(model, [np.arange(6)], pl.Series(["abcdef"]), np.array([False]), 100) is None


@pytest.mark.parametrize("name", ["gpu", "cuda:99"])
def test_a_device_that_is_not_there_is_refused_by_name(name):
    with pytest.raises(ValueError, match=rf"device '{name}' cannot be used here .*DRILLCORE_DEVICE"):
        device_of(name)


def test_sentences_beyond_learned_positions_are_refused_before_the_dump():
    gpt2 = AutoModelForCausalLM.from_config(AutoConfig.for_model("gpt2", vocab_size=80, n_embd=32, n_layer=2, n_head=4, n_positions=8))
    with pytest.raises(ValueError, match=r"9 tokens, but model m has 8 positions: set tokenize.max_tokens to 8"):
        check_lengths([np.arange(3), np.arange(9)], gpt2, "m")
    check_lengths([np.arange(8)], gpt2, "m")
    check_lengths([np.arange(5000)], loaded(Model(random=0, config=RANDOM)), "m")
