"""The options of a sweep by hand, and the scores of held-out train pairs against a loop."""

import numpy as np
import polars as pl
import pytest

from pipeline.analyse.options import Variant, folds_of, held_out_ranks, options_of, reference_of
from pipeline.base.errors import InputError
from pipeline.stats.folds import folds
from tests.analyse.making import ATTENTION, MEAN, ROWS, curve, keys_of, pairs_of


def listed(rows):
    """{variant: {option: rows}} of the options of some rows."""
    found = {}
    for option in options_of(keys_of(rows)):
        found.setdefault(option.variant, {})[option.name] = option.rows
    return found


def test_options_by_hand():
    assert listed(ROWS) == {
        MEAN: {"0": [0], "1": [1]},
        ("mean", "centre", "cosine"): {"0": [2], "1": [3]},
        ("mean", "none", "dot"): {"0": [4], "1": [5]},
        ("max", "none", "cosine"): {"0": [6], "1": [7]},
        ("max", "centre", "cosine"): {"0": [8], "1": [9]},
        ("attention", "none", "cosine"): {"0": [10, 12], "1": [11, 13]},
        ("diagonal", "none", "cosine"): {"0": [14, 16], "1": [15, 17]},
        ("first_last", "none", "cosine"): {"": [18]},
        ("scalar_mix", "none", "cosine"): {"": [19, 20]},
        ("pairs_of_layers", "none", "cosine"): {"0+1": [21], "0+2": [22], "1+2": [23]},
    }
    learned = {option.variant.pooling for option in options_of(keys_of(ROWS)) if option.learned}
    assert learned == {"attention", "diagonal", "scalar_mix"}


def test_options_of_a_variant_are_one_behind_the_other_in_the_order_of_their_first_rows():
    rows = [row for layer in (0, 1) for pooling in ("max", "mean") for row in curve(pooling, [layer])]
    options = options_of(keys_of(rows))
    assert [(option.variant.pooling, option.name, option.rows) for option in options] == [
        ("max", "0", [0]),
        ("max", "1", [2]),
        ("mean", "0", [1]),
        ("mean", "1", [3]),
    ]


def test_a_layer_at_which_a_run_has_no_scores_is_no_option():
    rows = [ATTENTION[0], ATTENTION[2], ("attention_1", "whitening_9", 0, "cosine"), ATTENTION[1]]
    assert listed(rows) == {("attention", "none", "cosine"): {"0": [0, 1]}}


def test_an_empty_sweep_has_no_options():
    assert options_of(keys_of([])) == []


def test_the_reference_is_the_plain_mean_or_what_is_listed_first():
    rows = [*curve("max"), *curve("mean")]
    assert reference_of(options_of(keys_of(rows))) == MEAN
    assert reference_of(options_of(keys_of(curve("max", correction="centre")))) == Variant("max", "centre", "cosine")


@pytest.mark.parametrize("ties", [False, True])
def test_held_out_ranks_equal_a_loop_and_know_nothing_but_the_order(rng, ties):
    runs, fold = rng.standard_normal((4, 50)), rng.permutation(np.arange(50) % 4)
    runs = np.round(runs) if ties else runs
    ranks = held_out_ranks(runs, fold)
    for i in range(50):
        others = runs[fold[i]][fold == fold[i]]
        below, equal = (others < runs[fold[i], i]).sum(), (others == runs[fold[i], i]).sum()
        assert ranks[i] == pytest.approx((below + equal / 2) / len(others), abs=1e-15)
    rescaled = np.stack([np.exp(row) * k - 7 for k, row in enumerate(runs, 1)])
    assert np.array_equal(ranks, held_out_ranks(rescaled, fold))
    inside = runs.copy()
    inside[fold[None] != np.arange(4)[:, None]] = 1e9  # what a run learned from
    assert np.array_equal(ranks, held_out_ranks(inside, fold))


@pytest.mark.parametrize(("fold", "fitted"), [(np.array([0, 1, 2]), 3), (None, 0)])
def test_runs_and_folds_that_do_not_belong_together_are_refused(fold, fitted):
    message = rf"2 runs were swept, but {fitted} fitted: run both stages again \(dvc repro -f -s fit sweep\)"
    with pytest.raises(InputError, match=message):
        held_out_ranks(np.zeros((2, 3)), fold)


def test_folds_are_those_of_the_fit(rng):
    pairs = pairs_of(rng, {"train": 40, "test": 9}).sample(fraction=1, shuffle=True, seed=int(rng.integers(99)))
    train = pairs.filter(pl.col("split") == "train").sort("pair_id")["component"].to_numpy()
    assert np.array_equal(folds_of(pairs, {"settings": {"runs": 3, "seed": 8}}), folds(train, 3, 8))
    assert folds_of(pairs, {"nothing": "there is no train split"}) is None
