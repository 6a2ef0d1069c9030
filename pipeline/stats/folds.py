"""Components in folds, for what is learned on some of the train pairs and measured on the others."""

import numpy as np

from pipeline.stats.ranks import midranks


def folds(component: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The fold of each pair: component (n,) -> (n,), 0 to count - 1. Components stay whole, folds are of like size."""
    names, where, sizes = np.unique(component, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-sizes[order], kind="stable")]  # large ones first, so that small ones even the folds out
    filled, fold_of = np.zeros(count, dtype=np.int64), np.empty(len(names), dtype=np.int64)
    for name in order:
        fold_of[name] = np.argmin(filled)
        filled[fold_of[name]] += sizes[name]
    return fold_of[where]


def ranks_within(scores: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Scores (n,) and the fold of each (n,) -> each score's midrank within its fold, minus 1/2, / the fold's size (n,).

    For scores of models that differ in height from fold to fold.
    """
    ranks = np.empty(len(scores))
    for name in np.unique(fold):
        inside = fold == name
        ranks[inside] = (midranks(scores[inside]) - 0.5) / inside.sum()
    return ranks
