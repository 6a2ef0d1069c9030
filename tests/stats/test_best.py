"""Comparisons with the best against a slow definition, Tukey's studentised range, and how often they reject."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from pipeline.stats.best import below_best, largest_difference
from pipeline.stats.significance import difference, holm
from tests.stats.making import holes


def test_below_best_by_definition_pair_by_pair(rng):
    estimates = np.array([0.2, 0.9, -0.5, 0.7])
    resampled = holes(rng, (4, 400), 0.03) * np.array([1, 2, 0.5, 1])[:, None] + estimates[:, None]
    found = below_best(estimates, resampled, 0.9)
    kept = [column for column in resampled.T if not np.isnan(column).any()]
    error = {(i, j): np.std([t[i] - t[j] for t in kept], ddof=1) for i, j in combinations(range(4), 2)}
    largest = [
        max(abs((t[i] - t[j]) - (estimates[i] - estimates[j])) / size for (i, j), size in error.items()) for t in kept
    ]
    quantile = np.quantile(largest, 0.9)
    for i in (0, 2, 3):
        size, apart = error[min(i, 1), max(i, 1)], estimates[i] - 0.9
        assert found.value[i] == apart
        assert found.p[i] == (1 + sum(one >= -apart / size for one in largest)) / (1 + len(kept))
        assert [found.low[i], found.high[i]] == pytest.approx([apart - quantile * size, apart + quantile * size])
        assert found.detectable[i] == pytest.approx((quantile + stats.norm.ppf(0.8)) * size)
    assert found.value[1] == 0
    assert np.isnan([found.low[1], found.high[1], found.p[1], found.detectable[1]]).all()


def test_the_largest_difference_of_independent_rows_is_the_studentised_range(rng):
    draws, rows = 40000, 7
    largest = largest_difference(rng.standard_normal((rows, draws)))
    expected = stats.studentized_range.ppf(0.95, rows, np.inf) / np.sqrt(2)
    share = (largest <= expected).mean()
    assert share == pytest.approx(0.95, abs=6 * np.sqrt(0.05 * 0.95 / draws) + 0.003)  # errors are estimated


def test_the_best_of_equals_is_found_better_as_often_as_it_says_and_far_more_often_if_it_had_been_named(rng):
    """Six equals with a common part, as encoders have; their estimates and resamples vary alike."""
    sets, resamples, rows = 1500, 400, 6
    rejected = {"best": 0, "named": 0}
    for _ in range(sets):
        draws = rng.standard_normal((rows, resamples + 1)) + rng.standard_normal(resamples + 1)
        estimates, resampled = draws[:, 0], draws[:, 1:] + draws[:, :1]
        rejected["best"] += bool(np.nanmin(below_best(estimates, resampled, 0.95).p) <= 0.05)
        best = np.argmax(estimates)
        others = np.arange(rows) != best
        named = difference(estimates[others], estimates[[best]], resampled[others], resampled[[best]], 0.95)
        rejected["named"] += bool(holm(named.p).min() <= 0.05)
    bound = 6 * np.sqrt(0.05 * 0.95 / sets)
    assert rejected["best"] / sets == pytest.approx(0.05, abs=bound)
    assert rejected["named"] / sets > 0.05 + bound


def test_intervals_hold_for_the_difference_from_whichever_is_best(rng):
    """Of all pairs at once, so of the selected ones at least as often."""
    sets, resamples, truth = 1000, 400, np.array([0.0, 0.1, 0.2, 0.2])
    held = 0
    for _ in range(sets):
        draws = rng.standard_normal((4, resamples + 1)) * 0.1
        estimates = truth + draws[:, 0]
        found = below_best(estimates, estimates[:, None] + draws[:, 1:], 0.95)
        true = truth - truth[np.argmax(estimates)]
        held += bool(np.nansum((true < found.low) | (true > found.high)) == 0)
    assert held / sets > 0.95 - 6 * np.sqrt(0.05 * 0.95 / sets)


def test_a_copy_of_the_best_does_not_differ_and_changes_nothing(rng):
    estimates = np.array([0.5, 0.4, 0.3])
    resampled = rng.standard_normal((3, 300)) * 0.1 + estimates[:, None]
    alone = below_best(estimates, resampled, 0.95)
    found = below_best(estimates[[0, 1, 2, 0]], resampled[[0, 1, 2, 0]], 0.95)
    assert [found.value[3], found.low[3], found.high[3], found.p[3], found.detectable[3]] == [0, 0, 0, 1, 0]
    for name in ("value", "low", "high", "p", "detectable"):
        assert getattr(found, name)[:3] == pytest.approx(getattr(alone, name), nan_ok=True)


def test_rows_without_an_estimate_or_spread_are_compared_with_nothing_and_cost_the_others_nothing(rng):
    estimates = np.array([0.5, np.nan, 0.4, 0.3])
    resampled = rng.standard_normal((4, 300)) * 0.1 + estimates[:, None]
    resampled[3] = 0.3
    found, alone = below_best(estimates, resampled, 0.95), below_best(estimates[[0, 2]], resampled[[0, 2]], 0.95)
    assert np.isnan(found.p).tolist() == [True, True, False, True]
    assert found.p[2] == alone.p[1]
    assert found.low[2] == alone.low[1]


@pytest.mark.parametrize("estimates", [[np.nan, np.nan], [0.3], [0.3, 0.2]])
def test_where_nothing_is_resampled_nothing_is_said(estimates):
    found = below_best(np.array(estimates), np.full((len(estimates), 100), np.nan), 0.95)
    assert np.isnan([found.low, found.high, found.p, found.detectable]).all()
    assert np.array_equal(found.value, np.array(estimates) - 0.3, equal_nan=True)
