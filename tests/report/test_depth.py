"""How trends over depth are put into words."""

import polars as pl

from pipeline.report.depth import FALLING, LEVEL, RISING, clauses

SEEDS = {"u": "u (2 seeds)", "u-1": "u (2 seeds)"}


def slopes(**of_names):
    """name=(slope, p) -> the columns of CORRELATIONS that clauses reads; _ in a name stands for -."""
    rows = [{"name": name.replace("_", "-"), "slope": slope, "slope_p": p} for name, (slope, p) in of_names.items()]
    return pl.DataFrame(rows, schema={"name": pl.String, "slope": pl.Float64, "slope_p": pl.Float64})


def test_each_trend_has_a_clause():
    rows = slopes(a=(0.1, 0.01), b=(-0.1, 0.01), c=(-0.1, 0.2), d=(-0.2, 0.001))
    assert clauses(rows) == f"{RISING} for **a**; it {FALLING} for **b** and **d**; it {LEVEL} for **c**"
    assert clauses(slopes()) == ""


def test_seeds_with_the_same_trend_are_named_together():
    assert (
        clauses(slopes(u=(-1, 0.01), m=(-1, 0.01), u_1=(-2, 0.01)), SEEDS) == f"{FALLING} for **u (2 seeds)** and **m**"
    )


def test_seeds_with_different_trends_are_named_apart():
    found = clauses(slopes(u=(-1, 0.01), u_1=(-2, 0.5)), SEEDS)
    assert found == f"{FALLING} for **u**; it {LEVEL} for **u-1**"
