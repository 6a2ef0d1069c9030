"""The recurrence of RWKV-6 (arXiv 2404.05892, time mixing of Finch): in plain PyTorch, or by a fused kernel."""

import functools
import warnings
from collections.abc import Callable

import torch
import torch.nn.functional as F

CHUNK = 32
"""tokens that the recurrence takes at once"""
LOG_DECAY_FLOOR = -40.0
"""exp(-40) = 4e-18 is below float64's resolution, and CHUNK * 40 / 2 is inside its exponent range"""
FLOAT32_RANGE = 40.0
"""half a chunk's log-decay up to which float32 holds both factors, with an error of 40 * 6e-8 each"""
KERNEL_TOLERANCE = 0.02
"""of the largest value: four times the resolution of bfloat16"""

Recurrence = Callable[..., tuple[torch.Tensor, torch.Tensor]]
"""a function like `wkv`"""


def wkv(
    r: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    log_w: torch.Tensor,
    u: torch.Tensor,
    state: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The recurrence of RWKV-6 (arXiv 2404.05892, time mixing of Finch), in chunks of CHUNK tokens.

    y_t = r_t (S_{t-1} + diag(u) k_t^T v_t),   S_t = diag(w_t) S_{t-1} + k_t^T v_t,   S_0 = the given state or 0.

    Inside a chunk, with c the running sum of log w: y_t = sum_{s<t} A_ts v_s + (r_t u . k_t) v_t and
    A_ts = sum_i r_ti k_si exp(c_{t-1,i} - c_{s,i}), which factorises around a pivot in the middle of the range of c.
    Where no chunk's log-decay leaves FLOAT32_RANGE on either side of its pivot all of it is float32, else float64;
    there the floor on log w keeps both factors in range whatever the decay, and what it changes is below rounding.

    r, k, v, log_w: (B, T, H, N), u: (H, N), state: (B or 1, H, N, N), keys by values -> y (B, T, H, N) in float32 or
    float64, and the state after the last token (B, H, N, N) in float32, in float64 where k is that.
    """
    dtype, kept = _precision(log_w), torch.promote_types(torch.float32, k.dtype)
    if dtype == torch.float64:
        log_w = log_w.clamp(min=LOG_DECAY_FLOOR)
    r, k, v, log_w = (tensor.to(dtype).transpose(1, 2) for tensor in (r, k, v, log_w))  # (B, H, T, N)
    ru = r * u.to(dtype)[:, None, :]
    chunks = zip(*(tensor.split(CHUNK, dim=2) for tensor in (r, k, v, log_w, ru)))
    not_earlier = torch.ones(CHUNK, CHUNK, dtype=torch.bool, device=r.device).triu()
    state, outputs = None if state is None else state.to(dtype), []
    for r, k, v, log_w, ru in chunks:
        c, n = log_w.cumsum(dim=2), log_w.shape[2]  # decay from the chunk's start to after token t, (B, H, C, N)
        before, total = c - log_w, c[:, :, -1:]  # the same to before token t; over the whole chunk
        pivot = total / 2
        a = (r * (before - pivot).exp()) @ (k * (pivot - c).exp()).transpose(2, 3)  # (B, H, C, C)
        a = a.masked_fill(not_earlier[:n, :n], 0.0)  # only earlier tokens
        y = a @ v + (ru * k).sum(-1, keepdim=True) * v  # (B, H, C, N)
        added = (k * (total - c).exp()).transpose(2, 3) @ v  # what this chunk adds to the state, (B, H, N, N)
        if state is not None:
            y = y + (r * before.exp()) @ state
            added = added + total.exp().transpose(2, 3) * state
        state = added
        outputs.append(y)
    assert state is not None, "a sentence has a token"
    return torch.cat(outputs, dim=2).transpose(1, 2), state.to(kept)


def _precision(log_w: torch.Tensor) -> torch.dtype:
    """float32 where every chunk's log-decay (B, T, H, N) is small enough for it, else float64."""
    if log_w.dtype == torch.float64:
        return torch.float64
    padding = -log_w.shape[1] % CHUNK
    decay = F.pad(log_w.detach().float(), (0, 0, 0, 0, 0, padding)).unflatten(1, (-1, CHUNK)).sum(2)  # of each chunk
    return torch.float32 if decay.amin() > -2 * FLOAT32_RANGE else torch.float64


@functools.cache
def fused_kernel(device: torch.device) -> Recurrence | None:
    """The chunked kernel of `flash-linear-attention` (extra `gpu`) as a function like `wkv`, or None.

    It is used on a GPU with weights in bfloat16 or float16, where it is installed and, tried once on random input,
    agrees with `wkv` within KERNEL_TOLERANCE; if not, that is said and `wkv` is used.
    """
    try:
        from fla.ops.rwkv6 import chunk_rwkv6
    except ImportError:
        return None

    def fused(
        r: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        log_w: torch.Tensor,
        u: torch.Tensor,
        state: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        state = None if state is None else state.float().expand(len(r), -1, -1, -1).contiguous()
        inputs = (r, k, v, log_w.to(r.dtype), u.to(r.dtype))
        return chunk_rwkv6(*inputs, scale=1.0, initial_state=state, output_final_state=True)

    generator = torch.Generator().manual_seed(0)
    r, k, v, d = torch.randn(4, 2, 100, 4, 64, generator=generator).to(device, torch.bfloat16)
    u = torch.randn(4, 64, generator=generator).to(device, torch.bfloat16)
    log_w = -torch.exp(d.float() - 1)
    try:
        ours, theirs = (function(r, k, v, log_w, u)[0].float() for function in (wkv, fused))
    except Exception as error:  # whatever a kernel's compiler may raise
        warnings.warn(f"flash-linear-attention does not run on {device} ({error}): going on without it", stacklevel=2)
        return None
    difference = ((ours - theirs).abs().max() / ours.abs().max()).item()
    if not difference <= KERNEL_TOLERANCE:  # NaN is no agreement either
        warnings.warn(
            f"flash-linear-attention differs from our recurrence by {difference:.1%} on {device}: going on without it",
            stacklevel=2,
        )
        return None
    return fused


def recurrence(
    r: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    log_w: torch.Tensor,
    u: torch.Tensor,
    state: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`wkv`, by a fused kernel where there is one for this device and type."""
    fits_a_kernel = r.is_cuda and r.dtype in (torch.bfloat16, torch.float16) and not torch.is_grad_enabled()
    kernel = fused_kernel(r.device) if fits_a_kernel else None
    return (kernel or wkv)(r, k, v, log_w, u, state)
