"""The chunked recurrence of RWKV-7 against its definition, one token at a time."""

import pytest
import torch

from pipeline.models.rwkv7_recurrence import CHUNK, LOG_DECAY, wkv


def by_definition(r, k, v, log_w, delta, state=None):
    """The definition, one token at a time, in float64."""
    r, k, v, w, a, b = (tensor.double() for tensor in (r, k, v, log_w.double().exp(), *delta))
    state = torch.zeros(*r.shape[:1], *r.shape[2:], r.shape[-1]).double() if state is None else state.double()
    out = []
    for t in range(r.shape[1]):
        erased = (a[:, t, :, None, :] @ state).squeeze(-2)
        added = b[:, t, :, :, None] * erased[:, :, None, :] + k[:, t, :, :, None] * v[:, t, :, None, :]
        state = w[:, t, :, :, None] * state + added
        out.append((r[:, t, :, None, :] @ state).squeeze(-2))
    return torch.stack(out, dim=1), state


def inputs(tokens, sentences=2, heads=3, size=8, decay=None):
    """Random inputs; the decay of every token is a share of the strongest one, or drawn."""
    r, k, v = torch.randn(3, sentences, tokens, heads, size)
    share = torch.rand(r.shape) if decay is None else torch.full(r.shape, decay)
    kk = torch.nn.functional.normalize(torch.randn(r.shape), dim=-1)
    return r, k, v, LOG_DECAY * share, (-kk, kk * torch.rand(r.shape))


def in_type(dtype, r, k, v, log_w, delta):
    return *(tensor.to(dtype) for tensor in (r, k, v, log_w)), tuple(tensor.to(dtype) for tensor in delta)


@pytest.mark.parametrize("tokens", [1, 2, CHUNK, CHUNK + 1, 3 * CHUNK + 5])
@pytest.mark.parametrize("decay", [0.0, None, 1.0])
@pytest.mark.parametrize("from_a_state", [False, True])
def test_wkv_by_the_definition_from_no_decay_to_the_strongest(tokens, decay, from_a_state):
    given = inputs(tokens, decay=decay)
    start = torch.randn(1, 3, 8, 8) if from_a_state else None
    expected, state = by_definition(*given, start)
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        actual, after = wkv(*in_type(dtype, *given), start if start is None else start.to(dtype))
        assert (actual.dtype, after.dtype) == (dtype, dtype)
        assert (actual - expected).abs().max() <= tolerance * expected.abs().max()
        assert (after - state).abs().max() <= tolerance * state.abs().max()


def test_the_same_key_over_and_over_is_as_exact():
    """The triangular system is furthest from the identity where every token erases what the one before wrote."""
    r, k, v, log_w, _ = inputs(3 * CHUNK, decay=0.0)
    kk = torch.nn.functional.normalize(torch.ones_like(k), dim=-1)
    for rate in (0.5, 1.0):
        expected, _ = by_definition(r, k, v, log_w, (-kk, rate * kk))
        actual, _ = wkv(r, k, v, log_w, (-kk, rate * kk))
        assert (actual - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_erasing_a_key_forgets_its_value_by_hand():
    """Write a value under a key, then erase it with rate 1: nothing is left of it, and half with rate 1/2."""
    key, value, nothing = torch.eye(2)[0], torch.tensor([3.0, 5.0]), torch.zeros(2)
    k, v, r = (torch.stack(pair)[None, :, None] for pair in ((key, nothing), (value, nothing), (key, key)))
    for rate, left in ((0.0, 1.0), (0.5, 0.5), (1.0, 0.0)):
        erased = torch.stack([nothing, key])[None, :, None]
        y, state = wkv(r, k, v, torch.zeros_like(k), (-erased, rate * erased))
        torch.testing.assert_close(y[0, 0, 0], value)
        torch.testing.assert_close(y[0, 1, 0], left * value)
        torch.testing.assert_close(state[0, 0], left * torch.outer(key, value))


def test_wkv_gradients_by_finite_differences():
    r, k, v, log_w, (a, b) = in_type(torch.float64, *inputs(CHUNK + 2, sentences=1, heads=1, size=2))
    state = torch.randn(1, 1, 2, 2, dtype=torch.float64)
    leaves = [tensor.detach().requires_grad_() for tensor in (r, k, v, log_w, a, b, state)]

    def function(r, k, v, log_w, a, b, state):
        return wkv(r, k, v, log_w, (a, b), state)

    assert torch.autograd.gradcheck(function, leaves, fast_mode=True)
