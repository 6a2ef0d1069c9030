"""Splits and subsets as arrays."""

import numpy as np

from pipeline.analyse.groups import groups_of
from tests.helpers import pairs_table


def test_groups_are_the_splits_and_the_subsets_in_the_order_of_pair_id(rng):
    pairs = pairs_table([0, 1, 1, 0, 1], ["b", "a", "b", "b", "a"], component=[7, 8, 9, 9, 6])
    groups = groups_of(pairs.sample(fraction=1, shuffle=True, seed=int(rng.integers(99))), {"b-2": ["b", 2]})
    assert list(groups) == [group.name for group in groups.values()] == ["b", "a", "b-2"]
    assert [group.rows.tolist() for group in groups.values()] == [[0, 2, 3], [1, 4], [0, 2]]
    assert [group.labels.tolist() for group in groups.values()] == [[0, 1, 0], [1, 1], [0, 1]]
    assert np.array_equal(groups["b"].component, [7, 9, 9])
