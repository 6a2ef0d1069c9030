"""Simultaneous bands against the share of curves that they hold, and closed forms."""

import numpy as np
import pytest
from scipy import stats

from pipeline.stats.bands import simultaneous


def test_bands_hold_the_share_of_resampled_curves_and_intervals_one_by_one_do_not(rng):
    resampled = rng.standard_normal((8, 2000)) * np.arange(1, 9)[:, None]
    low, high = simultaneous(np.zeros(8), resampled, 0.9)
    inside = ((resampled >= low[:, None]) & (resampled <= high[:, None])).all(axis=0).mean()
    assert inside == pytest.approx(0.9, abs=1 / 2000)
    low, high = np.quantile(resampled, [0.05, 0.95], axis=1)
    inside = ((resampled >= low[:, None]) & (resampled <= high[:, None])).all(axis=0).mean()
    assert inside < 0.6  # .9^8 = .43


def test_bands_by_the_closed_form_for_independent_normal_rows_and_for_equal_ones(rng):
    """Independent: all K below c with probability (2 Phi(c) - 1)^K. Equal rows are one row."""
    draws = 50000
    rows = rng.standard_normal((10, draws))
    for resampled, tests in ((rows, 10), (np.repeat(rows[:1], 10, axis=0) * 3, 1)):
        c = stats.norm.ppf((1 + 0.95 ** (1 / tests)) / 2)
        density = tests * 2 * stats.norm.pdf(c) * 0.95 ** (1 - 1 / tests)
        width = simultaneous(np.zeros(10), resampled, 0.95)[1] / resampled.std(axis=1)
        # six standard errors of the quantile, and of the errors, .003 each
        tolerance = 6 * np.sqrt(0.05 * 0.95 / draws) / density + 0.03 * c / 2
        assert width == pytest.approx(np.full(10, c), abs=tolerance)


def test_rows_without_an_estimate_or_spread_have_no_band_and_cost_the_others_nothing(rng):
    resampled = rng.standard_normal((2, 500))
    resampled[0, :9] = np.nan
    more = np.concatenate([resampled, np.full((1, 500), np.nan), np.full((1, 500), 0.3)])
    bands = np.array(simultaneous(np.array([0, 0, np.nan, 0.3]), more, 0.9))
    assert np.isnan(bands[:, 2:]).all()
    assert np.array_equal(bands[:, :2], simultaneous(np.zeros(2), resampled, 0.9))
    assert np.isfinite(bands[:, :2]).all()
    assert np.isnan(simultaneous(np.full(2, np.nan), resampled, 0.9)).all()
