"""Corrections of sentence vectors for anisotropy, fitted on the vectors of the train sentences alone.

CORRECTIONS maps a name to a function: train vectors (n, D) float64 -> (offset (D,), matrix (D, D') or scale (D,)). A vector v
becomes (v - offset) @ matrix, or (v - offset) * scale. A name such as whitening_64 is an entry and its k.
"""

import re

import numpy as np


class RankError(ValueError):
    """More directions were asked for than the train vectors have."""


def none(train):
    """v"""
    return np.zeros(train.shape[1]), np.ones(train.shape[1])


def centre(train):
    """v - m, m the mean train vector."""
    return train.mean(axis=0), np.ones(train.shape[1])


def standardise(train):
    """(v - m) / s, s the standard deviation of each dimension over the train vectors (arXiv 2109.04404). A dimension that does
    not vary there becomes 0."""
    spread = train.std(axis=0)
    return train.mean(axis=0), np.divide(1, spread, out=np.zeros_like(spread), where=spread > 1e-12 * np.abs(train).max(axis=0))


def all_but_the_top(train, k):
    """c - U U^T c with c = v - m and U (D, k) the first k principal directions of the train vectors (arXiv 1702.01417)."""
    top = principal(train - train.mean(axis=0), k, "all_but_the_top")[1]
    return train.mean(axis=0), np.eye(train.shape[1]) - top @ top.T


def whitening(train, k):
    """U^T (v - m) / sigma: the first k principal components, each scaled to variance 1 on the train vectors (arXiv 2103.15316)."""
    sigma, top = principal(train - train.mean(axis=0), k, "whitening")
    return train.mean(axis=0), top / (sigma / np.sqrt(len(train)))


def principal(rows, k, name):
    """The k largest singular values and their right singular vectors of rows (n, D) -> (k,), (D, k). RankError where there are fewer."""
    squares, right = np.linalg.eigh(rows.T @ rows)  # many times faster than the SVD of many rows, and exact enough above the rank's bound
    rank = int((squares > squares[-1] * max(rows.shape) * np.finfo(np.float64).eps).sum()) if squares[-1] > 0 else 0
    if not 1 <= k <= rank:
        raise RankError(f"{name}_{k}: {len(rows)} train vectors of {rows.shape[1]} dimensions have rank {rank}, expected k from 1 to {rank}")
    return np.sqrt(squares[: -k - 1 : -1]), right[:, : -k - 1 : -1]


CORRECTIONS = {"none": none, "centre": centre, "standardise": standardise, "all_but_the_top_K": all_but_the_top, "whitening_K": whitening}


def correction_of(name):
    """A correction by name: train vectors (n, D) -> a function of vectors (S, D) -> (S, D') float64. ValueError that lists the names."""
    found = re.fullmatch(r"(.+)_(\d+)", name)
    entry, options = (f"{found[1]}_K", {"k": int(found[2])}) if found else (name, {})
    if entry not in CORRECTIONS or entry.endswith("_K") != bool(options):
        raise ValueError(f"correction is {name!r}, expected one of {', '.join(CORRECTIONS)}, K being a number")

    def fit(train):
        offset, matrix = CORRECTIONS[entry](train.astype(np.float64), **options)
        return lambda vectors: (vectors - offset) @ matrix if matrix.ndim == 2 else (vectors - offset) * matrix

    return fit
