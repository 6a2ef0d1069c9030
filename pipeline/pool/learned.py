"""Poolings by a vector for each layer, which the stage fit learned on train pairs: LEARNED, name -> function."""

from collections.abc import Callable

import numpy as np

from pipeline.pool.tokens import mean
from pipeline.pool.weighted import weighted_sum


def attention(h: np.ndarray, query: np.ndarray) -> np.ndarray:
    """(..., T, D), (D,) -> (..., D): sum_t alpha_t h_t, alpha of `attention_weights` (proposed by arXiv 2502.14620)."""
    return weighted_sum(h, attention_weights(h, query))


def attention_weights(h: np.ndarray, query: np.ndarray) -> np.ndarray:
    """(..., T, D), (D,) -> (..., T): alpha = softmax_t(q . h_t / sqrt(D)); q = 0 is the mean."""
    logits = h @ query / np.sqrt(h.shape[-1])
    alpha = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return alpha / alpha.sum(axis=-1, keepdims=True)


def diagonal(h: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(..., T, D), (D,) -> (..., D): scale * mean(h).

    As many parameters as `attention` and no choice among tokens: its control.
    """
    return scale * mean(h)


LEARNED: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {"attention": attention, "diagonal": diagonal}
