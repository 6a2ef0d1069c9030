"""Folds of components, and ranks within them."""

import numpy as np
import pytest

from pipeline.stats.folds import folds, ranks_within


def test_folds_keep_components_whole_and_are_of_like_size(rng):
    component = rng.integers(0, 300, 500)
    fold = folds(component, 5, seed=3)
    assert all(len(set(fold[component == name])) == 1 for name in np.unique(component))
    assert np.bincount(fold, minlength=5) == pytest.approx(np.full(5, 100), abs=3)
    assert np.array_equal(fold, folds(component, 5, seed=3))
    assert not np.array_equal(fold, folds(component, 5, seed=4))


def test_ranks_within_folds_do_not_know_how_high_a_fold_stands(rng):
    scores, fold = rng.standard_normal(60).round(1), rng.integers(0, 4, 60)
    ranks = ranks_within(scores, fold)
    assert np.array_equal(ranks, ranks_within(np.exp(scores) + 10 * fold, fold))
    for i in range(60):
        same = scores[fold == fold[i]]
        rank = ((same < scores[i]).sum() + (same == scores[i]).sum() / 2) / len(same)
        assert ranks[i] == pytest.approx(rank, abs=1e-15)
