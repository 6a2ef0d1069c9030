"""The choice of the best row against a loop over resamples."""

import numpy as np

from pipeline.stats.selection import choices
from tests.stats.making import holes


def test_choices_equal_a_loop_over_resamples(rng):
    train, defined = np.array([0.3, 0.5, np.nan, 0.45, 0.9]), np.array([True, True, True, True, False])
    resampled = holes(rng, (5, 300), 0.3) + 3 * np.nan_to_num(train)[:, None]
    resampled[2] = 99.0  # undefined on train: no candidate, whatever its resamples
    best, chosen = choices(train, resampled, defined)
    assert best == 1
    for b in range(300):
        rows = [k for k in (0, 1, 3) if np.isfinite(resampled[k, b])]
        assert chosen[b] == (max(rows, key=lambda k: resampled[k, b]) if rows else -1)
    assert (chosen == -1).any()


def test_of_equals_the_first_is_chosen():
    best, chosen = choices(np.array([0.2, 0.5, 0.5]), np.array([[0.1, 0.3], [0.4, 0.3], [0.4, 0.2]]), np.ones(3, bool))
    assert (best, chosen.tolist()) == (1, [1, 0])


def test_without_candidates_nothing_is_chosen():
    best, chosen = choices(np.array([0.2, np.nan]), np.zeros((2, 5)), np.array([False, True]))
    assert (best, chosen.tolist()) == (-1, [-1] * 5)
