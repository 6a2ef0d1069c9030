"""Poolings that take nothing but token states: POOLINGS, name -> function (..., T, D) -> (..., D)."""

from collections.abc import Callable

import numpy as np

OUTLIER = 5
"""a state longer than so many median states of its sentence is an outlier

It has the squared norm of more than 25 ordinary states, as much as all others of a sentence of ordinary length.
"""


def mean(h: np.ndarray) -> np.ndarray:
    """(..., T, D) -> (..., D): sum_t h_t / T."""
    return h.mean(axis=-2)


def last(h: np.ndarray) -> np.ndarray:
    """(..., T, D) -> (..., D): h_T, the only token of a causal model that has seen the whole sentence."""
    return h[..., -1, :]


def first(h: np.ndarray) -> np.ndarray:
    """(..., T, D) -> (..., D): h_1. In a causal model it has seen itself alone."""
    return h[..., 0, :]


def maximum(h: np.ndarray) -> np.ndarray:
    """(..., T, D) -> (..., D): the largest value of each dimension."""
    return h.max(axis=-2)


def weighted_mean(h: np.ndarray) -> np.ndarray:
    """(..., T, D) -> (..., D): sum_t t h_t / sum_t t, t = 1..T.

    Later tokens, which saw more, count more (SGPT, arXiv 2202.08904).
    """
    weights = np.arange(1, h.shape[-2] + 1, dtype=h.dtype)
    return weights @ h / weights.sum()


def norm_mean(h: np.ndarray) -> np.ndarray:
    """(..., T, D) -> (..., D): sum_t |h_t| h_t / sum_t |h_t|: tokens with long states count more.

    A sentence of zeros stays zero.
    """
    norms = np.linalg.norm(h, axis=-1, keepdims=True)
    return (norms * h).sum(axis=-2) / np.maximum(norms.sum(axis=-2), np.finfo(h.dtype).tiny)


def last_k(h: np.ndarray, k: int) -> np.ndarray:
    """(..., T, D) -> (..., D): the mean of the last k tokens, of all where there are fewer."""
    return h[..., -k:, :].mean(axis=-2)


def skip_first(h: np.ndarray) -> np.ndarray:
    """(..., T, D) -> (..., D): the mean without the first token, often an attention sink; a single token stays.

    The first has seen no context. Many heads attend to it though it means little (arXiv 2309.17453, abstract), and its
    state carries outlying values (massive activations, arXiv 2402.17762).
    """
    return h[..., min(1, h.shape[-2] - 1) :, :].mean(axis=-2)


def skip_outliers(h: np.ndarray) -> np.ndarray:
    """(..., T, D) -> (..., D): the mean without states that are more than 5 times as long as the median state, as those
    of attention sinks are, wherever they stand.

    In many models a few tokens, mostly the first or a delimiter, carry massive activations (arXiv 2402.17762). They are
    told by their norm, not by the attention that they draw: the two are distinct (arXiv 2603.05498). The median is the
    lower one, which is the norm of a state: half of them always stay. Where none is an outlier it is `mean`, exactly.
    """
    kept = ~outliers(h)  # (..., T)
    if kept.all():
        return mean(h)
    pooled = (kept[..., None, :].astype(h.dtype) @ h)[..., 0, :] / kept.sum(axis=-1, keepdims=True, dtype=h.dtype)
    return np.where(kept.all(axis=-1, keepdims=True), mean(h), pooled)


def outliers(h: np.ndarray) -> np.ndarray:
    """(..., T, D) -> (..., T): |h_t| > OUTLIER m, m the lower median of |h_1| .. |h_T|; none where m is 0."""
    norms = np.sqrt(np.vecdot(h, h))
    middle = (h.shape[-2] - 1) // 2
    median = np.partition(norms, middle, axis=-1)[..., middle, None]
    return (norms > OUTLIER * median) & (median > 0)


def mean_max(h: np.ndarray) -> np.ndarray:
    """(..., T, D) -> (..., 2 D): mean and max side by side (concat pooling, arXiv 1801.06146)."""
    return np.concatenate([mean(h), maximum(h)], axis=-1)


POOLINGS: dict[str, Callable[..., np.ndarray]] = {
    "mean": mean,
    "last": last,
    "last_K": last_k,
    "first": first,
    "max": maximum,
    "weighted_mean": weighted_mean,
    "norm_mean": norm_mean,
    "skip_first": skip_first,
    "skip_outliers": skip_outliers,
    "mean_max": mean_max,
}
