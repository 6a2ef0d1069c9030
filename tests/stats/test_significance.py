"""Tests, trends and power against slow definitions and closed forms."""

import numpy as np
import pytest
from scipy import stats

from pipeline.stats.bootstrap import bootstrap
from pipeline.stats.ranks import spearman_rows
from pipeline.stats.significance import (
    against_zero,
    difference,
    holm,
    minimal_detectable_difference,
    pairs_needed,
    trend,
)
from tests.stats.making import holes, scores_and_labels


def test_difference_by_definition_resample_by_resample(rng):
    a, b = np.array([0.3, -1.0, 2.0]), np.array([0.1, 0.5, 2.0])
    resampled_a, resampled_b = holes(rng, (3, 500)) + a[:, None], holes(rng, (3, 500)) + b[:, None]
    found = difference(a, b, resampled_a, resampled_b, 0.9)
    for k in range(3):
        kept = [x - y for x, y in zip(resampled_a[k], resampled_b[k]) if not (np.isnan(x) or np.isnan(y))]
        far = sum(abs(value - found.value[k]) >= abs(found.value[k]) for value in kept)
        assert found.value[k] == a[k] - b[k]
        assert [found.low[k], found.high[k]] == pytest.approx(np.quantile(kept, [0.05, 0.95]).tolist(), abs=1e-12)
        assert found.p[k] == pytest.approx((1 + far) / (1 + len(kept)), abs=1e-12)
    assert found.p[2] == 1  # no difference


def test_difference_is_symmetric_and_p_falls_with_it(rng):
    resampled, zero = rng.standard_normal((4, 4000)), np.zeros((4, 4000))
    d = np.array([0.0, 1.0, 2.0, 3.0])
    up, down = (difference(s * d, zero[:, 0], s * (resampled + d[:, None]), zero, 0.95) for s in (1, -1))
    assert up.low == pytest.approx(-down.high, abs=1e-12)
    assert up.p == pytest.approx(down.p, abs=1e-12)
    # six standard errors of a share
    assert up.p == pytest.approx(2 * stats.norm.sf(d), abs=6 * np.sqrt(0.25 / 4000))


def test_nothing_defined_has_no_interval_and_no_p():
    nan = np.full((1, 100), np.nan)
    nothing = against_zero(np.array([0.1]), nan, 0.95)
    assert np.isnan([nothing.low, nothing.high, nothing.p]).all()
    assert np.isnan(against_zero(np.array([np.nan]), np.ones((1, 100)), 0.95).p).all()


def test_an_encoder_does_not_differ_from_a_monotone_function_of_itself_and_pairing_narrows(rng):
    scores, labels, component = scores_and_labels(rng)
    rows = np.stack([scores[1], np.exp(scores[1]), scores[1] + 0.1 * scores[2]])
    paired = bootstrap(rows, labels, component, 300, 0)["spearman"]
    apart = bootstrap(scores[1:2], labels, component, 300, 1)["spearman"]
    rho = spearman_rows(rows, labels)
    same = difference(rho[:1], rho[1:2], paired[:1], paired[1:2], 0.95)
    assert [same.value, same.low, same.high, same.p] == [0, 0, 0, 1]
    assert (paired[0] - paired[2]).std() < (apart[0] - paired[2]).std() / 2


def test_slope_equals_polyfit_of_every_curve(rng):
    layers, estimates = np.array([0.0, 1, 2, 5, 6]), rng.random(5)
    resampled = estimates[:, None] + rng.standard_normal((5, 200))
    found = trend(layers, estimates, resampled, 0.8)
    slopes = np.polyfit(layers, resampled, 1)[0]
    assert found.value[0] == pytest.approx(np.polyfit(layers, estimates, 1)[0], abs=1e-12)
    assert [found.low[0], found.high[0]] == pytest.approx(np.quantile(slopes, [0.1, 0.9]).tolist(), abs=1e-12)
    far = (abs(slopes - found.value[0]) >= abs(found.value[0])).sum()
    assert found.p[0] == pytest.approx((1 + far) / 201, abs=1e-12)


def test_slope_by_hand_without_the_undefined_layer():
    estimates = np.array([0.1, np.nan, 0.3, 0.4])
    curves = np.array([[0.0, np.nan, 0.2, 0.3], [0.2, np.nan, 0.4, 0.8], [0.1, np.nan, np.nan, 0.4]]).T
    found = trend(np.arange(4), estimates, curves, 0.9)
    steep = 13 / 70  # of the second curve; the first has the slope of the estimates, the third none
    low, high = 0.1 + 0.05 * (steep - 0.1), 0.1 + 0.95 * (steep - 0.1)
    assert [found.value[0], found.low[0], found.high[0], found.p[0]] == pytest.approx(
        [0.1, low, high, 1 / 3], abs=1e-12
    )


def test_one_defined_layer_has_no_slope():
    found = trend(np.arange(2), np.array([0.1, np.nan]), np.zeros((2, 100)), 0.9)
    assert np.isnan([found.value, found.low, found.high, found.p]).all()


def test_holm_by_hand():
    adjusted = holm(np.array([0.01, 0.04, np.nan, 0.03, 0.005]))
    assert adjusted == pytest.approx([0.03, 0.06, np.nan, 0.06, 0.02], abs=1e-12, nan_ok=True)
    assert holm(np.array([0.6, 0.7])).tolist() == [1, 1]
    assert holm(np.array([])).tolist() == []


def test_holm_rejects_what_the_stepwise_procedure_rejects(rng):
    """Slow definition: from the smallest p on, reject while p <= alpha / tests left."""
    for _ in range(50):
        p, alpha = rng.random(8) ** 3, rng.random()
        rejected = np.zeros(8, bool)
        for step, i in enumerate(np.argsort(p)):
            if p[i] > alpha / (8 - step):
                break
            rejected[i] = True
        assert np.array_equal(holm(p) <= alpha, rejected)


def test_detectable_difference_is_found_with_the_power(rng):
    resampled = holes(rng, (3, 400)) * np.array([[0.5], [1.0], [2.0]])
    detectable = minimal_detectable_difference(resampled, power=0.9, alpha=0.01)
    for row, d in zip(resampled, detectable):
        error = row[np.isfinite(row)].std(ddof=1)
        assert stats.norm.sf(stats.norm.isf(0.005) - d / error) == pytest.approx(0.9, abs=1e-12)
        assert minimal_detectable_difference(row, 0.9, 0.01) == pytest.approx(d, abs=1e-12)


def test_with_the_pairs_that_are_needed_the_target_is_detectable(rng):
    """Means of n independent draws, whose standard error is known: sd / sqrt(n)."""
    n, sd = 50, rng.uniform(0.5, 2)
    needed = float(pairs_needed(rng.standard_normal(200_000) * sd / np.sqrt(n), n, target=0.1))
    assert needed == pytest.approx((stats.norm.isf(0.025) + stats.norm.isf(0.2)) ** 2 * sd**2 / 0.1**2, rel=0.02)
