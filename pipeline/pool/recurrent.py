"""Poolings of a dump that kept the recurrent state after the last token (`dump.keep: state`): RECURRENT, name ->
function of states (S, H, N, M) float32 -> (S, H N M).

The state has read every token, so nothing is left to choose among tokens: what differs is how its H matrices become a
vector. Vectors are as wide as the state.
"""

from collections.abc import Callable

import numpy as np


def state(s: np.ndarray) -> np.ndarray:
    """(S, H, N, M) -> (S, H N M): the state as it is, row after row."""
    return s.reshape(len(s), -1)


def state_rank_k(s: np.ndarray, k: int) -> np.ndarray:
    """(S, H, N, M) -> (S, H N M): the best approximation of rank k of each matrix, sum_{i <= k} sigma_i u_i v_i^T.

    Eckart and Young 1936: no matrix of rank k is nearer in the Frobenius norm. It is the state itself from k = min(N,
    M) on. Our idea to pool by it, without a published source. Computed in float64.
    """
    if k >= min(s.shape[-2:]):
        return state(s)
    left, sigma, right = np.linalg.svd(s.astype(np.float64), full_matrices=False)
    best = (left[..., :k] * sigma[..., None, :k]) @ right[..., :k, :]
    return state(best.astype(np.float32))


def state_per_head(s: np.ndarray) -> np.ndarray:
    """(S, H, N, M) -> (S, H N M): each matrix divided by its Frobenius norm, so that no head outweighs another.

    A matrix of zeros stays one. Our idea to pool by it, without a published source.
    """
    norms = np.sqrt(np.einsum("shnm,shnm->sh", s, s, dtype=np.float64))[..., None, None]
    return state(np.divide(s, norms, out=np.zeros_like(s), where=norms > 0, casting="same_kind"))


RECURRENT: dict[str, Callable[..., np.ndarray]] = {
    "state": state,
    "state_rank_K": state_rank_k,
    "state_per_head": state_per_head,
}
