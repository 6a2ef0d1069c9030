"""Scores in 16 bits: what the page shows is the score, rounded."""

import numpy as np
import pytest

from pipeline.page.packed import decimal, decoded, packed, unpacked


@pytest.mark.parametrize("width", [1e-9, 1e-4, 0.3, 1, 2, 77, 30_000, 1e7])
def test_a_score_is_shown_rounded_to_as_many_decimals_as_16_bits_tell_apart(rng, width):
    values = rng.uniform(-1, 1) + width * np.sort(rng.random(500))
    column = decimal(values)
    rounding = 2 * np.spacing(np.abs(values).max())  # of the product and of the quotient
    assert np.abs(decoded(column) - values).max() <= 0.5 * 10.0 ** -column["decimals"] + rounding
    steps = unpacked(column["steps"], "u2")
    assert steps.min() == 0
    assert (np.diff(steps.astype(int)) >= 0).all()  # the order stays
    assert int(steps.max()) * 10 > 65_535 * 0.9 or column["decimals"] == 12  # one decimal more would not fit


def test_equal_scores_are_one_step():
    assert decoded(decimal(np.full(3, 0.123456789012))).tolist() == [0.123456789012] * 3


def test_numbers_come_back(rng):
    values = rng.integers(0, 2**32, 99)
    assert np.array_equal(unpacked(packed(values, "u4"), "u4"), values)
