"""The chunked recurrence against its definition, one token at a time; and when a fused kernel takes its place."""

import sys
import types
import warnings

import pytest
import torch

from pipeline.models.rwkv6_recurrence import CHUNK, FLOAT32_RANGE, fused_kernel, recurrence, wkv


def by_definition(r, k, v, log_w, u, state=None):
    """The definition, one token at a time, in float64."""
    r, k, v, w, u = (tensor.double() for tensor in (r, k, v, log_w.double().exp(), u))
    out = []
    if state is None:
        state = torch.zeros(*r.shape[:1], *r.shape[2:], r.shape[-1], dtype=torch.float64)
    for t in range(r.shape[1]):
        kv = k[:, t, :, :, None] * v[:, t, :, None, :]
        out.append((r[:, t, :, None, :] @ (state + u[:, :, None] * kv)).squeeze(-2))
        state = w[:, t, :, :, None] * state + kv
    return torch.stack(out, dim=1), state


@pytest.mark.parametrize("tokens", [1, 2, CHUNK, CHUNK + 1, 3 * CHUNK + 5])
@pytest.mark.parametrize("strength", [1e-4, 1.0, 30.0, 1e4])
def test_wkv_by_the_definition_at_weak_and_strong_decay(tokens, strength):
    r, k, v = torch.randn(3, 2, tokens, 3, 8)
    log_w, u = -strength * torch.rand(2, tokens, 3, 8), torch.randn(3, 8)
    expected, state = by_definition(r, k, v, log_w, u)
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        actual, after = wkv(*(tensor.to(dtype) for tensor in (r, k, v, log_w, u)))
        assert after.dtype == dtype
        assert (actual - expected).abs().max() <= tolerance * expected.abs().max()
        assert (after - state).abs().max() <= tolerance * state.abs().max()


@pytest.mark.parametrize("strength", [1.0, 1e4])
@pytest.mark.parametrize("sentences", [1, 2])
def test_wkv_from_a_state_by_the_definition(strength, sentences):
    r, k, v = torch.randn(3, 2, CHUNK + 5, 3, 8)
    log_w, u = -strength * torch.rand(2, CHUNK + 5, 3, 8), torch.randn(3, 8)
    start = torch.randn(sentences, 3, 8, 8)
    expected, state = by_definition(r, k, v, log_w, u, start.double())
    actual, after = wkv(r, k, v, log_w, u, start)
    assert (actual - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert (after - state).abs().max() <= 1e-5 * state.abs().max()
    assert (actual - wkv(r, k, v, log_w, u)[0]).abs().max() > 1e-2, "the state is read"


@pytest.mark.parametrize("factor", [0.99, 1.01])
def test_wkv_at_the_edge_of_the_range_of_float32(factor):
    """Half the chunk's decay just inside and just outside FLOAT32_RANGE, all of it in one channel and in one place."""
    r, k, v = torch.randn(3, 1, 2 * CHUNK + 3, 2, 8)
    u, log_w = torch.randn(2, 8), -0.01 * torch.rand(1, 2 * CHUNK + 3, 2, 8)
    log_w[:, :CHUNK, 0, 3] = -factor * 2 * FLOAT32_RANGE / CHUNK
    log_w[:, CHUNK + 5, 1, 0] = -0.9 * 2 * FLOAT32_RANGE
    expected, _ = by_definition(r, k, v, log_w, u)
    actual, _ = wkv(r, k, v, log_w, u)
    assert actual.dtype == (torch.float32 if factor < 1 else torch.float64)
    assert (actual - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_wkv_of_another_decay_differs():
    r, k, v = torch.randn(3, 1, 10, 2, 4)
    u = torch.randn(2, 4)
    weak, strong = (wkv(r, k, v, torch.full((1, 10, 2, 4), w), u)[0] for w in (-0.1, -2.0))
    assert (weak - strong).abs().max() > 0.01


def test_wkv_gradients_by_finite_differences():
    r, k, v = (torch.randn(1, CHUNK + 2, 1, 2, dtype=torch.float64, requires_grad=True) for _ in range(3))
    log_w = (-3 * torch.rand(1, CHUNK + 2, 1, 2, dtype=torch.float64)).requires_grad_()
    u = torch.randn(1, 2, dtype=torch.float64, requires_grad=True)
    state = torch.randn(1, 1, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(wkv, (r, k, v, log_w, u, state), fast_mode=True)


def test_gradients_stay_finite_at_strong_decay():
    r, k, v = torch.randn(3, 1, 2 * CHUNK, 2, 4).unbind(0)
    log_w = torch.full((1, 2 * CHUNK, 2, 4), -500.0, requires_grad=True)
    wkv(r.requires_grad_(), k, v, log_w, torch.ones(2, 4))[0].sum().backward()
    assert torch.isfinite(r.grad).all()
    assert torch.isfinite(log_w.grad).all()


def test_on_the_cpu_the_recurrence_is_wkv():
    r, k, v = torch.randn(3, 1, 9, 2, 8, dtype=torch.bfloat16)
    log_w, u = -torch.rand(1, 9, 2, 8), torch.randn(2, 8)
    assert all(torch.equal(a, b) for a, b in zip(recurrence(r, k, v, log_w, u), wkv(r, k, v, log_w, u)))


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
    def kernel(r, k, v, w, u, scale, initial_state, output_final_state):
        assert output_final_state
        y, state = wkv(r, k, v, w, u, initial_state)
        return scale * y.to(r.dtype), state

    fake_kernels(kernel)
    r, k, v = torch.randn(3, 1, 9, 2, 64)
    log_w, u = -torch.rand(1, 9, 2, 64), torch.randn(2, 64)
    start = torch.randn(1, 2, 64, 64)
    for state in (None, start):
        ours, theirs = wkv(r, k, v, log_w, u, state), fused_kernel("cpu")(r, k, v, log_w, u, state)
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs))


@pytest.mark.parametrize("scale", [1.05, float("nan")])
def test_a_fused_kernel_that_differs_is_refused_aloud(fake_kernels, scale):
    fake_kernels(lambda *args, **kwargs: (wkv(*args)[0] * scale, None))
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
