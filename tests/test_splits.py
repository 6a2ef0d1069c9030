import numpy as np
import polars as pl
import pytest

from pipeline import splits


def test_folds_keep_components_whole_and_are_of_like_size():
    rng = np.random.default_rng()
    component = rng.integers(0, 300, 500)
    found = splits.folds(component, 5, seed=3)
    assert all(len(set(found[component == one])) == 1 for one in np.unique(component))
    assert np.bincount(found, minlength=5) == pytest.approx(np.full(5, 100), abs=3)
    assert np.array_equal(found, splits.folds(component, 5, seed=3))
    assert not np.array_equal(found, splits.folds(component, 5, seed=4))


def test_sentences_of_train_pairs_or_of_all_where_there_is_no_train():
    pairs = pl.DataFrame({"split": ["train", "test", "train"], "sentence1_id": [4, 1, 2], "sentence2_id": [2, 3, 7]})
    assert splits.train_sentences(pairs).tolist() == [2, 4, 7]
    assert splits.train_sentences(pairs.filter(split="test")).tolist() == [1, 3]
    assert splits.chosen_on(pairs["split"]) == "train"
    assert splits.chosen_on(["dev", "test"]) == "dev"


def test_groups_are_splits_and_the_first_of_a_subset():
    pairs = pl.DataFrame({"split": ["b", "a", "b", "b"]})
    assert {name: rows.tolist() for name, rows in splits.groups(pairs, {"b-2": ("b", 2)}).items()} == {"b": [0, 2, 3], "a": [1], "b-2": [0, 2]}


def test_ranks_within_folds_do_not_know_how_high_a_fold_stands():
    rng = np.random.default_rng()
    scores, fold = rng.standard_normal(60).round(1), rng.integers(0, 4, 60)
    found = splits.ranks_within(scores, fold)
    assert np.array_equal(found, splits.ranks_within(np.exp(scores) + 10 * fold, fold))
    for i in range(60):
        same = scores[fold == fold[i]]
        assert found[i] == pytest.approx(((same < scores[i]).sum() + (same == scores[i]).sum() / 2) / len(same))
