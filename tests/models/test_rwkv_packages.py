"""Every generation of RWKV against code of others: rwkv.cpp's logits, `rwkv`, transformers' RWKV-4 and `rwkv7-hf`."""

import importlib.util
from pathlib import Path

import pytest
import rwkv
import torch
from safetensors.torch import load_file
from transformers import RwkvConfig
from transformers import RwkvForCausalLM as TheirRwkv4

from pipeline.models.generations import load_rwkv
from pipeline.models.layers import hidden_layers

SMALL = ["4v0-660K-FP32", "5v2-730K-FP32", "6v0-1m-FP32", "6v0-3m-Q5_1", "7v0-834K-FP32"]


@pytest.mark.parametrize(
    ("checkpoint", "fields"),
    [
        ("4v0-660K", {}),
        ("5v2-730K", {"head_size_divisor": 1}),  # rwkv.cpp has epsilon 1e-5 in RWKV-5, BlinkDL and `rwkv` 64e-5
        ("6v0-1m", {}),
        ("7v0-834K", {}),
    ],
)
def test_expected_logits_of_small_checkpoints(testdata, checkpoint, fields):
    """Logits that rwkv.cpp's tests expect after the bytes `"in`, from a fresh state."""
    model = load_rwkv(testdata / f"rwkv/tiny-rwkv-{checkpoint}-FP32.safetensors", **fields).eval()
    expected = load_file(testdata / "rwkv/expected_logits.safetensors")[checkpoint]
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([[34, 105, 110]])).logits[0, -1]
    assert (logits - expected).abs().max() <= 1e-5


def package_outputs(path, ids, is_7, monkeypatch):
    """(logits (T, V), [layers 0 to L (T, D)]) of PyPI's `rwkv`, which keeps no layers, but norms each one first.

    The module decides when it is imported whether it reads RWKV-7, so each call takes a copy of its own, uncompiled.
    """
    normed, layer_norm = [], torch.nn.functional.layer_norm

    def keep(x, *args, **kwargs):
        normed.append(x.clone())
        return layer_norm(x, *args, **kwargs)

    with monkeypatch.context() as patched:
        for name, value in {"RWKV_JIT_ON": "0", "RWKV_CUDA_ON": "0", "RWKV_V7_ON": str(int(is_7))}.items():
            patched.setenv(name, value)
        patched.setattr(torch.jit, "ScriptModule", torch.nn.Module)
        for name in ("script", "script_method"):
            patched.setattr(torch.jit, name, lambda function: function)
        spec = importlib.util.spec_from_file_location("a_copy", Path(rwkv.__file__).with_name("model.py"))
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        package = module.RWKV(str(path).removesuffix(".pth"), "cpu fp32", *([] if is_7 else [False]))
        patched.setattr(torch.nn.functional, "layer_norm", keep)
        logits, _ = package.forward(ids, None, full_output=True)
    return logits, normed[::2]  # before time mixing of each block, and before the head


def compare_with_the_package(tensors, folder, ids, monkeypatch):
    torch.save(tensors, folder / "model.pth")
    ours = load_rwkv(folder / "model.pth").eval()
    is_7 = ours.config.model_type == "rwkv7"
    logits, layers = package_outputs(folder / "model.pth", ids[0].tolist(), is_7, monkeypatch)
    with torch.inference_mode():
        out = ours(input_ids=ids, output_hidden_states=True)
    scale = max(1.0, logits.abs().max().item())
    assert (out.logits[0] - logits).abs().max() <= 1e-4 * scale
    for mine, theirs in zip(out.hidden_states, layers, strict=True):
        assert (mine[0] - theirs).abs().max() <= 1e-4 * max(1.0, theirs.abs().max().item())


@pytest.mark.parametrize("checkpoint", SMALL)
def test_logits_and_every_layer_equal_the_rwkv_package(testdata, tmp_path, checkpoint, monkeypatch):
    tensors = load_file(testdata / f"rwkv/tiny-rwkv-{checkpoint}.safetensors")
    if "7v0" in checkpoint:  # the package wants heads by rows
        tensors = {n: t.view(-1, 64) if n.endswith("r_k") else t for n, t in tensors.items()}
    compare_with_the_package(tensors, tmp_path, torch.randint(0, 256, (1, 75)), monkeypatch)


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [
        ("rwkv", {}),
        ("rwkv5", {}),
        ("rwkv6", {}),
        ("rwkv7", {"hidden_size": 128, "head_dim": 64}),  # its epsilon is that of heads of 64
    ],
)
def test_random_weights_equal_the_rwkv_package(network, blinkdl, tmp_path, kind, sizes, monkeypatch):
    compare_with_the_package(blinkdl(network(kind, **sizes)), tmp_path, torch.randint(0, 97, (1, 40)), monkeypatch)


@pytest.mark.parametrize("name", ["time_first", "time_faaaa"])
def test_rwkv5_1_equals_the_rwkv_package(network, blinkdl, tmp_path, name, monkeypatch):
    """RWKV-5.1: a decay and a bonus for each head, the bonus as its logarithm in older files."""
    tensors = blinkdl(network("rwkv5"))
    for i in range(3):
        tensors[f"blocks.{i}.att.time_decay"] = tensors[f"blocks.{i}.att.time_decay"].mean(1)
        tensors[f"blocks.{i}.att.{name}"] = tensors.pop(f"blocks.{i}.att.time_faaaa").mean(1)
    compare_with_the_package(tensors, tmp_path, torch.randint(0, 97, (1, 40)), monkeypatch)


def test_rwkv4_equals_that_of_transformers(network):
    ours, ids = network("rwkv"), torch.randint(0, 97, (3, 40))
    sizes = {"vocab_size": 97, "hidden_size": 64, "num_hidden_layers": 3, "intermediate_size": 96}
    theirs = TheirRwkv4(RwkvConfig(rescale_every=0, use_cache=False, **sizes)).eval()
    theirs.load_state_dict(ours.state_dict())
    for a, b in zip(hidden_layers(ours, ids), hidden_layers(theirs, ids), strict=True):
        assert (a - b).abs().max() <= 1e-4 * max(1.0, b.abs().max().item())
    with torch.inference_mode():
        assert torch.allclose(ours(input_ids=ids).logits, theirs(input_ids=ids).logits, atol=1e-4)


def test_rwkv7_equals_rwkv7_hf(network):
    """Its hidden states begin before the norm of the embedding, and the last one is normed: both are mapped first."""
    from rwkv7_hf import RWKV7Config, RWKV7ForCausalLM

    ours, ids = network("rwkv7"), torch.randint(0, 97, (3, 40))
    shared = ("vocab_size", "hidden_size", "num_hidden_layers", "head_dim", "intermediate_size", "norm_eps")
    ranks = ("decay_low_rank_dim", "a_low_rank_dim", "v_low_rank_dim", "gate_low_rank_dim")
    theirs = RWKV7ForCausalLM(RWKV7Config(**{name: getattr(ours.config, name) for name in (*shared, *ranks)})).eval()
    theirs.load_state_dict(ours.state_dict())
    with torch.inference_mode():
        mine = ours(input_ids=ids, output_hidden_states=True)
        other = theirs(input_ids=ids, output_hidden_states=True)
        embedding, *between, normed = other.hidden_states
        expected = [ours.model.layers[0].pre_norm(embedding), *between, normed]
        layers = [*mine.hidden_states[:-1], ours.model.norm(mine.hidden_states[-1])]
    for a, b in zip([*layers, mine.logits], [*expected, other.logits], strict=True):
        assert (a - b).abs().max() <= 1e-4 * max(1.0, b.abs().max().item())
