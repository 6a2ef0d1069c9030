"""Poolings by a weight for each token id, counted in the train sentences alone.

WEIGHTED maps a name to two functions: `pool`, states (..., T, D) and weights (..., T) -> (..., D); and `weights`,
`Counts` -> (V,), a weight for each token id.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.formats.ragged import Ragged
from pipeline.pool.train_vectors import Spectrum

SENTENCES_AT_ONCE = 1 << 16
"""whose tokens are sorted at once"""


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
    ids = Ragged.of(ids)
    sentences = np.zeros(size, dtype=np.int64)
    for start in range(0, len(ids), SENTENCES_AT_ONCE):
        some = ids[start : start + SENTENCES_AT_ONCE]
        within = np.repeat(np.arange(len(some)), some.lengths) * size + some.values
        sentences += np.bincount(np.unique(within) % size, minlength=size)  # each id of a sentence once
    return Counts(np.bincount(ids.values, minlength=size), sentences, len(ids))


def token_weights(
    sentence_ids: np.ndarray, ids: Sequence[np.ndarray], train: np.ndarray, entries: Iterable[str]
) -> dict[str, Ragged]:
    """{entry of WEIGHTED: weights of the tokens of each sentence_id (T,) float32}, counted in the train sentences.

    sentence_ids: 0 to S - 1 in any order, (S,); the token ids of each, and the ids of the train sentences.
    """
    ordered = Ragged.of(ids).take(np.argsort(sentence_ids))
    counts = count(ordered.take(train), 1 + int(ordered.values.max()))
    of_ids = {entry: WEIGHTED[entry].weights(counts).astype(np.float32) for entry in entries}
    return {entry: Ragged(weights[ordered.values], ordered.offsets) for entry, weights in of_ids.items()}
