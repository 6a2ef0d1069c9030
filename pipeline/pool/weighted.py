"""Poolings by a weight for each token id, counted in the train sentences alone.

WEIGHTED maps a name to two functions: `pool`, states (..., T, D) and weights (..., T) -> (..., D); and `weights`,
`Counts` -> (V,), a weight for each token id.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.pool.corrections import Spectrum


@dataclass(frozen=True)
class Counts:
    """How often token ids occur in the train sentences."""

    tokens: np.ndarray
    """(V,) occurrences of each id"""
    sentences: np.ndarray
    """(V,) sentences that hold an id"""
    total: int
    """train sentences"""


def idf_mean(h: np.ndarray, idf: np.ndarray) -> np.ndarray:
    """(..., T, D), (..., T) -> (..., D): sum_t idf_t h_t / sum_t idf_t (the weights of BERTScore, arXiv 1904.09675).

    The mean where every token of a sentence is in every train sentence.
    """
    idf = np.where(idf.sum(axis=-1, keepdims=True) > 0, idf, 1)
    return weighted_sum(h, idf / idf.sum(axis=-1, keepdims=True))


def idf_weights(counts: Counts) -> np.ndarray:
    """ln((N + 1) / (n + 1)) for an id that n of N train sentences hold: 0 for one of every sentence, such as a BOS."""
    return np.log((counts.total + 1) / (counts.sentences + 1))


def sif(h: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(..., T, D), (..., T) -> (..., D): sum_t a / (a + p_t) h_t / T.

    Arora et al. 2017, openreview SyK00v5xx, algorithm 1. Its second half, the removal of the first singular vector of
    the train sentences, is `without_common`.
    """
    return weighted_sum(h, weights / h.shape[-2])


def sif_weights(counts: Counts, a: float = 1e-3) -> np.ndarray:
    """a / (a + p), p the share of an id among the tokens of the train sentences; a is the paper's."""
    return a / (a + counts.tokens / counts.tokens.sum())


def without_common(train: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Train vectors (n, D) -> a function v -> v - u u^T v of vectors (S, D), float32.

    u is the first right singular vector of the train vectors, which are not centred.
    """
    _, top = Spectrum.of(train.astype(np.float64)).largest(1, "sif")
    return lambda vectors: (vectors - (vectors @ top) @ top.T).astype(np.float32)


def weighted_sum(h: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(..., T, D), (..., T) -> (..., D): sum_t w_t h_t, in the type of h."""
    return (weights[..., None, :].astype(h.dtype) @ h)[..., 0, :]


@dataclass(frozen=True)
class Weighted:
    """A pooling by weights."""

    pool: Callable[[np.ndarray, np.ndarray], np.ndarray]
    weights: Callable[[Counts], np.ndarray]
    removes_common: bool = False
    """whether `without_common` follows, once all sentences are pooled"""


WEIGHTED = {"idf_mean": Weighted(idf_mean, idf_weights), "sif": Weighted(sif, sif_weights, removes_common=True)}


def count(ids: Sequence[np.ndarray], size: int) -> Counts:
    """The token ids of the train sentences, all below `size` -> their counts."""
    tokens = np.bincount(np.concatenate(ids), minlength=size)
    sentences = np.bincount(np.concatenate([np.unique(sentence) for sentence in ids]), minlength=size)
    return Counts(tokens, sentences, len(ids))


def token_weights(
    sentence_ids: np.ndarray, ids: Sequence[np.ndarray], train: np.ndarray, entries: Iterable[str]
) -> dict[str, dict[int, np.ndarray]]:
    """{entry of WEIGHTED: {sentence_id: weights of its tokens (T,) float32}}, counted in the train sentences.

    sentence_ids (S,), the token ids of each, and the ids of the train sentences.
    """
    size = 1 + max(int(sentence.max()) for sentence in ids)
    counts = count([ids[row] for row in np.flatnonzero(np.isin(sentence_ids, train)).tolist()], size)
    weights = {}
    for entry in entries:
        of_ids = WEIGHTED[entry].weights(counts).astype(np.float32)
        weights[entry] = {int(name): of_ids[sentence] for name, sentence in zip(sentence_ids, ids)}
    return weights
