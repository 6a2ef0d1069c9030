"""Geometry beside rho."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from pipeline.formats import geometry, tables
from pipeline.geometry import join


def measured(encoder, values, measure="norm", other=None):
    """MEASURED of one measure, by layer."""
    rows = [
        dict.fromkeys(geometry.MEASURED)
        | {"encoder": encoder, "level": "sentences", "measure": measure, "layer": layer, "value": value, "other": other}
        for layer, value in values.items()
    ]
    return pl.DataFrame(rows, schema=geometry.polars_schema(geometry.MEASURED))


def correlations(encoder, rho, **changes):
    """CORRELATIONS on test, by layer."""
    plain = {"correction": "none", "similarity": "cosine", "split": "test"} | changes
    rows = [
        dict.fromkeys(tables.CORRELATIONS) | {"encoder": encoder, "layer": layer, "spearman": value} | plain
        for layer, value in rho.items()
    ]
    return pl.DataFrame(rows, schema=tables.schema_of(tables.CORRELATIONS))


def test_each_row_has_the_rho_of_its_layer():
    rho = pl.concat(
        [
            correlations("a", {0: 0.1, 1: 0.2}),
            correlations("a", {0: 0.7, 1: 0.8}, similarity="dot"),
            correlations("a", {0: 0.5, 1: 0.6}, split="train"),
            correlations("overlap", {None: 0.9}, correction=None, similarity="dice"),
        ]
    )
    joined = join.join(pl.concat([measured("a", {0: 5.0, 1: 6.0}), measured("b", {0: 7.0})]), rho, "test")
    assert joined.select("encoder", "layer", "value", "rho").rows() == [
        ("a", 0, 5.0, 0.1),
        ("a", 1, 6.0, 0.2),
        ("b", 0, 7.0, None),
    ]
    assert set(joined["split"]) == {"test"}
    assert joined.schema == geometry.polars_schema(geometry.JOINED)


def test_correlations_over_layers_are_those_of_scipy(rng):
    value, rho = (dict(enumerate(rng.standard_normal(9).tolist())) for _ in range(2))
    row = join.with_rho(join.join(measured("a", value), correlations("a", rho), "test")).row(0, named=True)
    assert row["layers"] == 9
    for name, pair in {
        "correlation": (value, rho),
        "with_depth": (value, range(9)),
        "rho_with_depth": (rho, range(9)),
    }.items():
        x, y = (list(one.values()) if isinstance(one, dict) else list(one) for one in pair)
        assert row[name] == pytest.approx(stats.spearmanr(x, y).statistic)


def test_few_layers_and_missing_values_have_no_correlation():
    rho = correlations("a", dict.fromkeys(range(5), 0.1) | {4: None})
    found = join.with_rho(join.join(measured("a", {0: 1.0, 1: None, 2: 3.0, 3: 4.0, 4: 5.0}), rho, "test"))
    assert found.select("layers", "correlation").rows() == [(3, None)]


def test_two_layers_are_compared_with_the_first():
    pairs = pl.concat([measured("a", {3: 0.5, 6: 0.4}, "cka", other=0), measured("a", {6: 0.9}, "cka", other=3)])
    curves = join.curves(pl.concat([measured("a", {0: 1.0, 3: 1.0, 6: 1.0}), pairs]))
    assert curves.filter(measure="cka").select("layer", "value").rows() == [(3, 0.5), (6, 0.4)]
    late = pairs.with_columns(encoder=pl.lit("late"), other=pl.col("other") + 3, layer=pl.col("layer") + 3)
    late = pl.concat([measured("late", {3: 1.0}), late])
    assert join.curves(pl.concat([pairs, late])).filter(encoder="late", measure="cka")["other"].to_list() == [3, 3]
    assert np.isfinite(curves["value"].to_numpy()).all()
