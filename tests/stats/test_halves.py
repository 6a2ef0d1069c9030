"""Standard errors from halves of the data."""

import numpy as np
import pytest

from pipeline.stats.halves import halves, interval, standard_error


def test_a_half_has_half_of_the_components_and_all_of_each(rng):
    component = rng.permutation(np.repeat(np.arange(12), rng.integers(1, 4, 12)))
    for half in halves(component, 20, seed=1):
        inside = np.isin(np.arange(len(component)), half)
        assert len(np.unique(component[half])) == 6
        assert not set(component[inside]) & set(component[~inside])


def test_halves_are_the_same_for_a_seed_and_others_for_another():
    component = np.arange(30)
    one, same, other = (np.concatenate(halves(component, 5, seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_handful_of_components_says_nothing_of_others():
    assert halves(np.array([0, 1, 2, 3] * 10), 20, seed=0) == []
    assert np.isnan(standard_error(np.empty((0, 3)))).all()
    assert standard_error(np.empty((0, 3))).shape == (3,)


def test_that_of_a_mean_is_the_closed_form(rng):
    """s / sqrt(n) for a half of n without replacement: the variance is s^2 / m (1 - m / n) with m = n / 2. The estimate
    from B halves is off by 1 / sqrt(2 B) = 1.6 %, so that 10 % is more than six standard errors.
    """
    values = rng.exponential(size=400)
    of_halves = np.array([values[half].mean() for half in halves(np.arange(400), 2000, seed=0)])
    assert standard_error(of_halves) == pytest.approx(values.std(ddof=1) / 20, rel=0.1)


def test_an_interval_is_normal_and_ends_where_values_do():
    of_halves = np.array([[0.0], [2.0]])  # a standard error of sqrt(2)
    low, high = interval(np.array([1.0]), of_halves, 0.95, (0, 10))
    assert (low[0], high[0]) == (0, pytest.approx(1 + 1.959964 * np.sqrt(2), abs=1e-5))
