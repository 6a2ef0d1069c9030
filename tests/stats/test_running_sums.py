"""Running sums against numpy's."""

import numpy as np
import pytest

from pipeline.stats.ranks import order_of
from pipeline.stats.running_sums import LEVELS, Places, RunningSums


def weights_and_places(rng, n, decimals=1):
    values, weights = np.round(rng.standard_normal(n), decimals), rng.integers(0, 9, size=(n, 6))
    order, some = order_of(values), rng.permutation(n)[: n // 2 + 1]
    return values, weights, some, Places.of(order, some, np.arange(len(order.ends)))


@pytest.mark.parametrize("n", [1, 2, LEVELS - 1, LEVELS, LEVELS + 1, 5 * LEVELS + 3])
def test_sums_at_the_places_equal_masks(rng, n):
    values, weights, some, places = weights_and_places(rng, n)
    sums = RunningSums(weights)
    sums.fill(places.layout)
    upto = np.array([weights[values <= values[i]].sum(axis=0) for i in some])
    below = np.array([weights[values < values[i]].sum(axis=0) for i in some])
    factors = rng.standard_normal((len(some), 6))
    assert sums.product(factors, places.upto) == pytest.approx((factors * upto).sum(axis=0), abs=1e-9)
    assert sums.product(factors, places.below) == pytest.approx((factors * below).sum(axis=0), abs=1e-9)
    groups = np.array([weights[values == value].sum(axis=0) for value in np.unique(values)])
    assert np.array_equal(sums.of_groups(places.starts, places.ends), groups)
    assert np.array_equal(sums.total, weights.sum(axis=0))
    assert places.tied.tolist() == [(values == value).sum() > 1 for value in values]


def test_the_same_sums_can_be_filled_again(rng):
    _, weights, _, first = weights_and_places(rng, 70)
    _, _, _, second = weights_and_places(rng, 70)
    used, fresh = RunningSums(weights), RunningSums(weights)
    for places in (first, second):
        used.fill(places.layout)
    fresh.fill(second.layout)
    assert np.array_equal(used.sums, fresh.sums)


@pytest.mark.parametrize(("total", "kind"), [((1 << 16) - 1, np.uint16), (1 << 16, np.uint32)])
def test_sums_do_not_overflow_their_type(total, kind):
    sums = RunningSums(np.array([[total - 1], [1]]))
    places = Places.of(order_of(np.array([0.0, 1.0])), np.array([1]), np.arange(2))
    sums.fill(places.layout)
    assert sums.sums.dtype == kind
    assert sums.product(np.ones((1, 1)), places.upto) == [total]
