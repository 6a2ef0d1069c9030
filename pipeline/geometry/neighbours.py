"""Intrinsic dimension from the two nearest neighbours."""

import numpy as np

DISCARDED = 0.1
"""share of the largest ratios that the fit leaves out, as Facco et al. 2017 do"""
SAME = 1e-5
"""points closer than this, relative to the mean norm around their mean, are one point: the same tokens in another
order, apart by rounding
"""
FEWEST = 10


def two_nn(vectors: np.ndarray) -> float:
    """Points (N, D) -> the dimension of the manifold that they lie on. NaN for fewer than FEWEST distinct points.

    mu = r_2 / r_1 has the distribution F(mu) = 1 - mu^-d where the density is even over two neighbours. d is the slope
    of -ln(1 - F) on ln mu through 0, by least squares, with F_i = i / N for the i-th smallest of N ratios, i = 1, 2 ...
    """
    squared = squared_distances(vectors.astype(np.float64))
    kept = distinct(squared)
    if len(kept) < FEWEST:
        return np.nan
    squared = squared[np.ix_(kept, kept)]
    np.fill_diagonal(squared, np.inf)
    first, second = np.partition(squared, 1, axis=1)[:, :2].T
    ratios = np.sort(np.log(second / first) / 2)[: int(len(kept) * (1 - DISCARDED))]  # ln mu
    heights = -np.log(1 - np.arange(1, len(ratios) + 1) / len(kept))
    return float(ratios @ heights / (ratios @ ratios)) if ratios.any() else np.nan


def squared_distances(points: np.ndarray) -> np.ndarray:
    """(N, D) -> (N, N), exact to rounding relative to the points' distance from their mean."""
    centred = points - points.mean(axis=0)
    squares = np.vecdot(centred, centred)
    return np.maximum(squares[:, None] + squares - 2 * centred @ centred.T, 0)


def distinct(squared: np.ndarray) -> np.ndarray:
    """Squared distances (N, N) -> the numbers of the points that are no copy of an earlier one."""
    scale = squared.mean() / 2  # the mean square of the distance from the mean
    same = np.tril(squared <= SAME**2 * scale, k=-1)
    return np.flatnonzero(~same.any(axis=1))
