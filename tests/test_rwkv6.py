"""Our RWKV-6 against expected logits, PyPI's `rwkv` package, and the step-by-step recurrence."""

import os
import sys
import types
import warnings

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

from pipeline.checkpoints import hf_name, load_rwkv6
from pipeline.layers import hidden_layers
from pipeline.rwkv6 import CHUNK, FLOAT32_RANGE, Rwkv6Config, Rwkv6ForCausalLM, fused_kernel, wkv

SIZES = {"vocab_size": 97, "hidden_size": 64, "num_hidden_layers": 3, "head_size": 16}


@pytest.fixture(scope="module")
def model():
    """A random model whose decays, mixes and norms are far from their initial values."""
    torch.manual_seed(int.from_bytes(os.urandom(4), "little"))
    model = Rwkv6ForCausalLM(Rwkv6Config(**SIZES)).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn_like(p) * p.std().clamp(min=0.1))
    return model


def blinkdl(model):
    """The weights of a model under BlinkDL's names."""
    back = {"rwkv.embeddings": "emb", ".pre_ln": ".ln0", ".attention": ".att", ".feed_forward": ".ffn", "rwkv.": ""}
    tensors = {}
    for name, tensor in model.state_dict().items():
        for new, old in back.items():
            name = name.replace(new, old)
        tensors[name] = tensor.clone().contiguous()
    return tensors


def recurrence(r, k, v, log_w, u):
    """The definition, one token at a time."""
    r, k, v, w, u = (a.double() for a in (r, k, v, log_w.double().exp(), u))
    state, out = torch.zeros(*r.shape[:1], *r.shape[2:], r.shape[-1], dtype=torch.float64), []
    for t in range(r.shape[1]):
        kv = k[:, t, :, :, None] * v[:, t, :, None, :]
        out.append((r[:, t, :, None, :] @ (state + u[:, :, None] * kv)).squeeze(-2))
        state = w[:, t, :, :, None] * state + kv
    return torch.stack(out, dim=1)


@pytest.mark.parametrize("tokens", [1, 2, CHUNK, CHUNK + 1, 3 * CHUNK + 5])
@pytest.mark.parametrize("strength", [1e-4, 1.0, 30.0, 1e4])
def test_wkv_by_the_definition_at_weak_and_strong_decay(tokens, strength):
    r, k, v = torch.randn(3, 2, tokens, 3, 8)
    log_w, u = -strength * torch.rand(2, tokens, 3, 8), torch.randn(3, 8)
    expected = recurrence(r, k, v, log_w, u)
    for kind, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        found = wkv(*(a.to(kind) for a in (r, k, v, log_w, u)))
        assert (found - expected).abs().max() <= tolerance * expected.abs().max()


@pytest.mark.parametrize("factor", [0.99, 1.01])
def test_wkv_at_the_edge_of_the_range_of_float32(factor):
    """Half the chunk's decay just inside and just outside FLOAT32_RANGE, with all of it in one channel and in one place."""
    r, k, v = torch.randn(3, 1, 2 * CHUNK + 3, 2, 8)
    u, log_w = torch.randn(2, 8), -0.01 * torch.rand(1, 2 * CHUNK + 3, 2, 8)
    log_w[:, :CHUNK, 0, 3] = -factor * 2 * FLOAT32_RANGE / CHUNK
    log_w[:, CHUNK + 5, 1, 0] = -0.9 * 2 * FLOAT32_RANGE
    expected = recurrence(r, k, v, log_w, u)
    found = wkv(r, k, v, log_w, u)
    assert found.dtype == (torch.float32 if factor < 1 else torch.float64)
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_wkv_of_another_decay_differs():
    r, k, v = torch.randn(3, 1, 10, 2, 4)
    u = torch.randn(2, 4)
    weak, strong = (wkv(r, k, v, torch.full((1, 10, 2, 4), w), u) for w in (-0.1, -2.0))
    assert (weak - strong).abs().max() > 0.01


def test_wkv_gradients_by_finite_differences():
    r, k, v = (torch.randn(1, CHUNK + 2, 1, 2, dtype=torch.float64, requires_grad=True) for _ in range(3))
    log_w = (-3 * torch.rand(1, CHUNK + 2, 1, 2, dtype=torch.float64)).requires_grad_()
    u = torch.randn(1, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(wkv, (r, k, v, log_w, u), fast_mode=True)


def test_gradients_stay_finite_at_strong_decay():
    r, k, v = torch.randn(3, 1, 2 * CHUNK, 2, 4).unbind(0)
    log_w = torch.full((1, 2 * CHUNK, 2, 4), -500.0, requires_grad=True)
    wkv(r.requires_grad_(), k, v, log_w, torch.ones(2, 4)).sum().backward()
    assert torch.isfinite(r.grad).all()
    assert torch.isfinite(log_w.grad).all()


def test_expected_logits_of_the_small_checkpoint(testdata):
    """Logits that rwkv.cpp's tests expect after the bytes `"in`, from a fresh state."""
    model = load_rwkv6(testdata / "rwkv/tiny-rwkv-6v0-1m-FP32.safetensors").eval()
    expected = load_file(testdata / "rwkv/expected_logits.safetensors")["6v0-1m"]
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([[34, 105, 110]])).logits[0, -1]
    assert (logits - expected).abs().max() <= 1e-5


def package_outputs(path, ids):
    """(logits (T, V), [state after each block (T, D)]) from PyPI's `rwkv` package, which keeps no layers itself."""
    os.environ.update(RWKV_JIT_ON="0", RWKV_CUDA_ON="0")
    from rwkv.model import RWKV

    package = RWKV(model=str(path).removesuffix(".pth"), strategy="cpu fp32", verbose=False)
    kept, channel_mix = [], package.ffn_seq_v6

    def keep(*args):
        out = channel_mix(*args)
        kept.append(out[0].clone())
        return out

    package.ffn_seq_v6 = keep
    logits, _ = package.forward(ids, None, full_output=True)
    return logits, kept


@pytest.mark.parametrize("checkpoint", ["6v0-1m-FP32", "6v0-3m-Q5_1"])
def test_logits_and_every_layer_equal_the_rwkv_package(testdata, tmp_path, checkpoint):
    tensors = load_file(testdata / f"rwkv/tiny-rwkv-{checkpoint}.safetensors")
    compare_with_the_package(tensors, tmp_path, torch.randint(0, 256, (1, 75)))


def test_random_weights_equal_the_rwkv_package(model, tmp_path):
    compare_with_the_package(blinkdl(model), tmp_path, torch.randint(0, 97, (1, 40)))


def compare_with_the_package(tensors, tmp_path, ids):
    torch.save(tensors, tmp_path / "model.pth")
    logits, layers = package_outputs(tmp_path / "model.pth", ids[0].tolist())
    ours = load_rwkv6(tmp_path / "model.pth").eval()
    with torch.inference_mode():
        out = ours(input_ids=ids, output_hidden_states=True)
    scale = max(1.0, logits.abs().max().item())
    assert (out.logits[0] - logits).abs().max() <= 1e-4 * scale
    assert len(layers) == ours.config.num_hidden_layers
    for mine, theirs in zip(out.hidden_states[1:], layers):
        assert (mine[0] - theirs).abs().max() <= 1e-4 * max(1.0, theirs.abs().max().item())


def test_hooks_and_hidden_states_are_the_same_layers(model):
    ids = torch.randint(0, 97, (2, 9))
    with torch.inference_mode():
        own = model(input_ids=ids, output_hidden_states=True).hidden_states
    hooked = hidden_layers(model, ids)
    assert len(own) == len(hooked) == 4
    assert all(torch.equal(a.float(), b.float()) for a, b in zip(own, hooked))


def test_batch_of_one_equals_batch_of_many(model):
    ids = torch.randint(0, 97, (5, CHUNK + 7))
    many = hidden_layers(model, ids)
    for i in range(5):
        one = hidden_layers(model, ids[i : i + 1])
        assert max((a[i] - b[0]).abs().max() for a, b in zip(many, one)) <= 1e-5


def test_right_padding_changes_nothing_and_left_padding_is_refused(model):
    ids = torch.randint(0, 97, (1, 20))
    padded = torch.cat([ids, torch.randint(0, 97, (1, 9))], dim=1)
    mask = (torch.arange(29) < 20).long()[None]
    with torch.inference_mode():
        bare = model(input_ids=ids, output_hidden_states=True).hidden_states
        right = model(input_ids=padded, attention_mask=mask, output_hidden_states=True).hidden_states
    assert max((a - b[:, :20]).abs().max() for a, b in zip(bare, right)) <= 1e-5
    with pytest.raises(ValueError, match="pad on the right"):
        model(input_ids=padded, attention_mask=mask.flip(1))


def test_a_prefix_gives_the_prefix_and_a_bos_changes_the_states(model):
    ids = torch.randint(1, 97, (1, 2 * CHUNK))
    whole, part = hidden_layers(model, ids), hidden_layers(model, ids[:, : CHUNK + 3])
    assert max((a[:, : CHUNK + 3] - b).abs().max() for a, b in zip(whole, part)) <= 1e-5
    with_bos = hidden_layers(model, torch.cat([torch.zeros(1, 1, dtype=torch.long), ids], dim=1))
    assert (with_bos[-1][:, 1:] - whole[-1]).abs().max() > 1e-3


def test_bfloat16_is_near_float32_and_keeps_a_float32_residual(model):
    ids = torch.randint(0, 97, (1, 30))
    narrow = Rwkv6ForCausalLM(model.config).to(torch.bfloat16)
    narrow.load_state_dict(model.state_dict())
    exact, rounded = hidden_layers(model, ids), hidden_layers(narrow.eval(), ids)
    assert all(layer.dtype == torch.float32 for layer in rounded[1:])
    for a, b in zip(exact, rounded):  # eight bits of mantissa, some tens of roundings in a row
        assert (a - b).norm() <= 0.1 * a.norm()


def test_loss_is_the_mean_next_token_cross_entropy_and_reaches_every_weight(model):
    ids = torch.randint(0, 97, (2, 11))
    fresh = Rwkv6ForCausalLM(model.config)
    fresh.load_state_dict(model.state_dict())
    out = fresh(input_ids=ids, labels=ids)
    chosen = out.logits.log_softmax(-1)[:, :-1].gather(-1, ids[:, 1:, None])
    assert torch.allclose(out.loss, -chosen.mean(), atol=1e-5)
    out.loss.backward()
    assert [name for name, p in fresh.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_hf_folder_round_trip_through_the_auto_classes(model, tmp_path):
    """As published: `auto_map` to remote code, `rescale_every`, a misleading `num_attention_heads`, sharded files."""
    import json

    model.save_pretrained(tmp_path, max_shard_size="100KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {
        "auto_map": {"AutoModelForCausalLM": "modeling_rwkv6.Rwkv6ForCausalLM"},
        "rescale_every": 6,
        "num_attention_heads": 64,
        "intermediate_size": None,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "modeling_rwkv6.py").write_text("raise SystemExit('remote code was run')")
    assert isinstance(AutoConfig.from_pretrained(tmp_path), Rwkv6Config)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path, trust_remote_code=False).eval()
    ids = torch.randint(0, 97, (1, 12))
    assert all(torch.equal(a, b) for a, b in zip(hidden_layers(model, ids), hidden_layers(loaded, ids)))


@pytest.mark.parametrize("layout", ["file.pth", "file.safetensors", "shards.pth", "shards.safetensors"])
def test_blinkdl_layouts_load_the_same_weights(model, tmp_path, layout):
    kind, suffix = layout.split(".")
    tensors = blinkdl(model)
    save = save_file if suffix == "safetensors" else torch.save
    if kind == "file":
        path = tmp_path / f"model.{suffix}"
        save(tensors, path)
    else:
        path, names = tmp_path, sorted(tensors)
        for i in range(3):
            save({name: tensors[name] for name in names[i::3]}, tmp_path / f"part-{i}.{suffix}")
    loaded = load_rwkv6(path)
    assert loaded.config.head_size == 16
    assert all(torch.equal(loaded.state_dict()[name], tensor) for name, tensor in model.state_dict().items())
    assert {hf_name(name) for name in tensors} == set(model.state_dict())


def test_group_norm_epsilon_follows_head_size_divisor(model, tmp_path):
    save_file(blinkdl(model), tmp_path / "m.safetensors")
    assert load_rwkv6(tmp_path / "m.safetensors").rwkv.blocks[1].attention.ln_x.eps == pytest.approx(64e-5)
    assert load_rwkv6(tmp_path / "m.safetensors", head_size_divisor=1).rwkv.blocks[1].attention.ln_x.eps == pytest.approx(1e-5)


def test_sizes_of_finch_as_published():
    """The 1.6B, 3B, 7B and 14B checkpoints: ranks of the low-rank maps and the channel mix follow from the width."""
    small, large = Rwkv6Config(hidden_size=2048), Rwkv6Config(hidden_size=4096)
    assert (small.intermediate_size, small.time_mix_extra_dim, small.time_decay_extra_dim) == (7168, 32, 64)
    assert (large.intermediate_size, large.time_mix_extra_dim, large.time_decay_extra_dim) == (14336, 64, 128)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
def test_gpu_equals_cpu(model):
    ids = torch.randint(0, 97, (3, 50))
    cpu = hidden_layers(model, ids)
    gpu = hidden_layers(model.to("cuda"), ids.to("cuda"))
    model.to("cpu")
    for a, b in zip(cpu, gpu):
        assert (a - b.cpu()).norm() <= 1e-4 * a.norm()


@pytest.fixture
def fake_kernels(monkeypatch):
    """A stand-in for flash-linear-attention: use(function) installs its chunk_rwkv6."""

    def use(function):
        module = types.ModuleType("fla.ops.rwkv6")
        module.chunk_rwkv6 = function
        for name in ("fla", "fla.ops"):
            monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
        monkeypatch.setitem(sys.modules, "fla.ops.rwkv6", module)
        fused_kernel.cache_clear()

    yield use
    fused_kernel.cache_clear()


def test_a_fused_kernel_that_agrees_is_used(fake_kernels):
    fake_kernels(lambda r, k, v, w, u, scale: (scale * wkv(r, k, v, w, u).to(r.dtype), None))
    r, k, v = torch.randn(3, 1, 9, 2, 64)
    log_w, u = -torch.rand(1, 9, 2, 64), torch.randn(2, 64)
    assert torch.equal(fused_kernel("cpu")(r, k, v, log_w, u), wkv(r, k, v, log_w, u))


@pytest.mark.parametrize("scale", [1.05, float("nan")])
def test_a_fused_kernel_that_differs_is_refused_aloud(fake_kernels, scale):
    fake_kernels(lambda *args, **kwargs: (wkv(*args) * scale, None))
    with pytest.warns(UserWarning, match=r"differs from our recurrence by .*going on without it"):
        assert fused_kernel("cpu") is None


def test_a_fused_kernel_that_does_not_run_is_refused_aloud(fake_kernels):
    def broken(*args, **kwargs):
        raise RuntimeError("no kernel image")

    fake_kernels(broken)
    with pytest.warns(UserWarning, match=r"does not run on cpu \(no kernel image\)"):
        assert fused_kernel("cpu") is None


def test_without_a_fused_kernel_nothing_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "fla", None)
    fused_kernel.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fused_kernel("cpu") is None
    fused_kernel.cache_clear()
