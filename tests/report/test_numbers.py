import math

import pytest

from pipeline.report import numbers

ROW = {"rho": 0.42345, "rho_low": 0.38149, "rho_high": 0.46249}
UNDEFINED = (None, math.nan)


def test_a_figure_has_no_more_digits_than_its_interval():
    assert numbers.with_interval(ROW, "rho") == "0.423 [0.381, 0.462]"
    assert numbers.signed(ROW, "rho") == "+0.423 [+0.381, +0.462]"
    wide = ROW | {"rho_high": 0.48151}
    assert numbers.with_interval(wide, "rho") == "0.42 [0.38, 0.48]"
    assert numbers.signed(wide, "rho") == "+0.42 [+0.38, +0.48]"


@pytest.mark.parametrize(
    ("low", "high", "decimals"),
    [(0.35, 0.45, 3), (-0.05, 0.05, 3), (0.35, 0.4501, 2), (None, 0.4, 2), (0.4, math.nan, 2), (0.4, 0.4, 3)],
)
def test_an_interval_of_plus_minus_a_twentieth_supports_three_decimals_and_a_wider_one_two(low, high, decimals):
    assert numbers.decimals(low, high) == decimals
    assert numbers.decimals_of({"x_low": low, "x_high": high}, "x") == decimals


def test_signs_of_differences_are_shown_even_of_bounds_that_round_to_zero():
    row = {"d": -0.05, "d_low": -0.0999, "d_high": -0.0001}
    assert numbers.signed(row, "d") == "-0.050 [-0.100, -0.000]"


@pytest.mark.parametrize("undefined", UNDEFINED)
def test_what_is_undefined_is_said_to_be_and_has_no_interval(undefined):
    assert numbers.with_interval(ROW | {"rho": undefined}, "rho") == "undefined"
    assert numbers.with_interval(ROW | {"rho_low": undefined}, "rho") == "0.42"
    assert numbers.signed(ROW | {"rho_high": undefined}, "rho") == "+0.42"
    assert numbers.fixed(undefined) == "undefined"
    assert numbers.if_any(undefined) == numbers.p_value(undefined) == numbers.interval(undefined, 1.0) == ""
    assert numbers.p_equals(undefined) == "p = undefined"
    assert not numbers.is_significant(undefined)


def test_small_p_values_are_no_zeros():
    assert [numbers.p_value(p) for p in (1e-13, 0.00012, 0.25, 1.0)] == ["< .0001", "0.00012", "0.25", "1"]
    assert [numbers.p_equals(p) for p in (1e-13, 0.25)] == ["p < .0001", "p = 0.25"]


def test_the_border_of_significance():
    assert [numbers.is_significant(p) for p in (0.0, 0.0499, 0.05, 1.0)] == [True, True, False, False]


@pytest.mark.parametrize(
    ("values", "text"),
    [([0.042, None, 0.14], "0.042 to 0.14"), ([0.0421, 0.0419], "0.042"), ([-0.2, -0.1], "-0.20 to -0.10")],
)
def test_a_range_is_one_number_where_both_ends_round_to_it(values, text):
    assert numbers.span(values) == text


@pytest.mark.parametrize(("share", "text"), [(0.95, "95 %"), (0.999, "99.9 %"), (0.57, "57 %"), (0.5, "50 %")])
def test_shares_as_percentages(share, text):
    assert numbers.percent(share) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0.0213, "0.021"), (57.4, "57"), (1290, "1,300"), (9.96, "10"), (0.000123, "0.00012"), (0, "0")),
        *((None, ""), (float("nan"), ""), (1, "1.0"), (-0.0456, "-0.046")),
    ],
)
def test_two_significant_digits_without_an_exponent(value, text):
    assert numbers.significant(value) == text
