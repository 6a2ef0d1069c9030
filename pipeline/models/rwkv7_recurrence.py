"""The recurrence of RWKV-7 (arXiv 2503.14456): the generalised delta rule, in chunks, in plain PyTorch."""

import math

import torch

from pipeline.models.rwkv_parts import wide

CHUNK = 32
"""tokens that the recurrence takes at once"""
LOG_DECAY = -math.exp(-0.5)
"""the strongest log-decay of a token: half a chunk of it is -9.7, so float32 holds exp of it and of its negative"""


def wkv(
    r: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    log_w: torch.Tensor,
    delta: tuple[torch.Tensor, torch.Tensor],
    state: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The recurrence of RWKV-7 in chunks of CHUNK tokens; keys are rows of the state, values its columns.

    S_t = (diag(w_t) + b_t a_t^T) S_{t-1} + k_t v_t^T,   y_t = S_t^T r_t,   S_0 = the given state or 0,

    where a and b are `delta`: minus the normalised key, and the same key times its rate. Inside a chunk, with c the
    running sum of log w, S_t is a sum over s <= t of exp(c_t - c_s) (b_s u_s^T + k_s v_s^T), and u_t = S_{t-1}^T a_t,
    what is erased, solves a triangular system: u = (I - A)^{-1} q, where for s < t
    A_ts = sum_i a_ti b_si exp(c_{t-1,i} - c_{s,i}), and q is what a reads of k v^T and of the state before the chunk.
    The exponentials factorise around a pivot in the middle of the range of c. log_w must lie between LOG_DECAY and 0,
    as in every RWKV-7, so that float32 holds both factors.

    r, k, v, log_w, a, b: (B, T, H, N), state: (B or 1, H, N, N) -> y (B, T, H, N) and the state after the last token
    (B, H, N, N), both in float32, or in float64 where r is that.
    """
    every = (wide(tensor).transpose(1, 2).split(CHUNK, dim=2) for tensor in (r, k, v, log_w, *delta))
    state = None if state is None else wide(state)
    outputs = []
    for r, k, v, log_w, a, b in zip(*every):  # (B, H, C, N) each
        n, c = r.shape[2], log_w.cumsum(dim=2)  # decay from the chunk's start to after token t
        total = c[:, :, -1:]
        pivot, after = total / 2, (total / 2 - c).exp()
        before = (c - log_w - pivot).exp()
        reads = torch.cat([a * before, r * (c - pivot).exp()], dim=2)  # (B, H, 2C, N)
        writes = torch.cat([b * after, k * after], dim=2)  # (B, H, 2C, N)
        seen = (reads @ writes.transpose(2, 3)).masked_fill(_unseen(n, r.device), 0.0)  # (B, H, 2C, 2C)
        q, y = seen[:, :, :n, n:] @ v, None
        if state is not None:
            q_of_state, y = ((reads * pivot.exp()) @ state).split(n, dim=2)
            q = q + q_of_state
        u = torch.linalg.solve_triangular(-seen[:, :, :n, :n], q, upper=False, unitriangular=True)  # (B, H, C, N)
        written = torch.cat([u, v], dim=2)
        inside = seen[:, :, n:] @ written
        outputs.append(inside if y is None else y + inside)
        added = (writes * (total - pivot).exp()).transpose(2, 3) @ written  # (B, H, N, N)
        state = added if state is None else added + total.exp().transpose(2, 3) * state
    assert state is not None, "a sentence has a token"
    return torch.cat(outputs, dim=2).transpose(1, 2), state


def _unseen(n: int, device: torch.device) -> torch.Tensor:
    """Which of the 2n writes a read does not see: those of its own token and later for a, later ones for r."""
    own_and_later = torch.ones(n, n, dtype=torch.bool, device=device).triu()
    return torch.cat([own_and_later, own_and_later.triu(1)]).repeat(1, 2)
