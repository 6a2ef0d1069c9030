"""Which pairs something is fitted on, chosen on and reported on."""

import numpy as np
import polars as pl
from scipy.stats import rankdata


def groups(pairs, subsets):
    """The splits, in the order of the data, then the named subsets {name: (split, n)} -> {name: row numbers}."""
    splits = pairs["split"].to_numpy()
    found = {split: np.flatnonzero(splits == split) for split in dict.fromkeys(splits)}
    return found | {name: found[split][:n] for name, (split, n) in subsets.items()}


def chosen_on(splits):
    """The split on which layers and thresholds are chosen: train, or the first where there is no train."""
    return "train" if "train" in splits else splits[0]


def train_sentences(pairs):
    """Distinct sentence ids of the train pairs, of all pairs where there is no train split -> sorted (n,)."""
    train = pairs.filter(pl.col("split") == "train")
    return np.unique((train if len(train) else pairs).select("sentence1_id", "sentence2_id").to_numpy())


def folds(component, count, seed):
    """Pairs -> the fold of each (n,), 0 to count - 1, with the pairs of a component in one fold and the folds of like size."""
    names, where, sizes = np.unique(component, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-sizes[order], kind="stable")]  # large components first, so that small ones even the folds out
    filled, fold_of = np.zeros(count, dtype=np.int64), np.empty(len(names), dtype=np.int64)
    for one in order:
        fold_of[one] = np.argmin(filled)
        filled[fold_of[one]] += sizes[one]
    return fold_of[where]


def ranks_within(scores, fold):
    """Scores (n,) and the fold of each (n,) -> (n,): each score's rank within its fold / the fold's size, for scores of models that
    differ in height from fold to fold."""
    found = np.empty(len(scores))
    for one in np.unique(fold):
        found[fold == one] = (rankdata(scores[fold == one]) - 0.5) / (fold == one).sum()
    return found
