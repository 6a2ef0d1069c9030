"""The Pareto front against its definition, pair by pair."""

import numpy as np

from pipeline.stats.front import pareto


def test_the_front_is_what_nothing_beats(rng):
    for _ in range(50):
        cost, value = rng.integers(0, 6, (2, 12)).astype(float)
        for i, on_front in enumerate(pareto(cost, value)):
            beaten = any(
                cost[j] <= cost[i] and value[j] >= value[i] and (cost[j] < cost[i] or value[j] > value[i])
                for j in range(12)
            )
            assert on_front == (not beaten)


def test_the_front_of_nothing_is_empty_and_equal_ones_share_it():
    assert pareto(np.zeros(0), np.zeros(0)).tolist() == []
    assert pareto(np.array([1.0, 1.0, 2.0]), np.array([0.5, 0.5, 0.5])).tolist() == [True, True, False]
