"""What a probe sees of a pair of vectors. All of it is the same for (u, v) and (v, u)."""

from collections.abc import Callable

import numpy as np

from pipeline.pool.corrections import whitening
from pipeline.pool.train_vectors import TrainVectors


def difference_product(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """(n, D), (n, D) -> (n, 2 D): |u - v| and u * v, as in SentEval (arXiv 1803.05449)."""
    return np.hstack([np.abs(u - v), u * v])


def bilinear(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """(n, k), (n, k) -> (n, k (k + 1) / 2): the terms of u^T W v with a symmetric W.

    u_i v_i, and u_i v_j + u_j v_i for i < j. With W = I and vectors of length 1, the sum of the first is the cosine.
    """
    i, j = np.triu_indices(u.shape[1])
    products = u[:, i] * v[:, j] + u[:, j] * v[:, i]
    return np.where(i == j, products / 2, products)


def of_vectors(
    probe: str, vectors: np.ndarray, first: np.ndarray, second: np.ndarray, train: np.ndarray, dimensions: int
) -> np.ndarray:
    """The features of P pairs (P, F) float64: vectors (S, D), the ids of their sentences (P,) and of the train ones."""
    seen = FEATURES[probe][0](vectors, train, dimensions)
    return FEATURES[probe][1](seen[first], seen[second])


def as_they_are(vectors: np.ndarray, train: np.ndarray, dimensions: int) -> np.ndarray:
    """(S, D) float64."""
    return vectors.astype(np.float64)


def reduced(vectors: np.ndarray, train: np.ndarray, dimensions: int) -> np.ndarray:
    """(S, D) -> (S, k): whitened principal components of the train sentences, then each vector divided by its length.

    k is `dimensions`, or as many as the train vectors have. A vector of length 0 stays 0.
    """
    fitted_on = TrainVectors(vectors[train])
    k = min(dimensions, fitted_on.principal.rank)
    white = whitening(fitted_on, k)(vectors) if k else np.zeros((len(vectors), 1))
    length = np.linalg.norm(white, axis=1, keepdims=True)
    return np.divide(white, length, out=np.zeros_like(white), where=length > 0)


FEATURES: dict[str, tuple[Callable[..., np.ndarray], Callable[..., np.ndarray]]] = {
    "difference_product": (as_they_are, difference_product),
    "bilinear": (reduced, bilinear),
}
"""name -> what is done to all vectors (S, D), given the train sentences, and then to the two vectors of each pair"""
