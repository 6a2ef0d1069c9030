"""geometry.md and its pictures: nothing that a reader would stumble over."""

import re

import numpy as np
import polars as pl
import pytest

from pipeline.formats import geometry as format_of_geometry
from pipeline.geometry import join, run
from pipeline.geometry.between import BETWEEN
from pipeline.report import geometry, geometry_picture
from tests.geometry.test_join import correlations

MODELS = ["a_model", "<b>|$x$"]


@pytest.fixture
def facts():
    return {"measures": run.facts(), "left_out": {name: {} for name in MODELS}, "confidence": 0.95, "resamples": 100}


def table(rng, layers=6):
    """JOINED of all measures of two models; rho falls with depth as the norm does, opposite to the rank."""
    rows = []
    for model in MODELS:
        for name, one in run.facts().items():
            for layer in range(layers):
                value = {"norm": -layer, "effective_rank": layer}.get(name, rng.uniform())
                row = dict.fromkeys(format_of_geometry.MEASURED) | {"encoder": model, "measure": name, "layer": layer}
                row |= {"level": one["level"], "value": value, "low": value - 0.1, "high": value + 0.1}
                others = range(layer) if name in BETWEEN else [None]
                rows += [row | {"sentences": 1000, "dim": 8, "other": other} for other in others]
    measured = pl.DataFrame(rows, schema=format_of_geometry.polars_schema(format_of_geometry.MEASURED))
    rho = [correlations(model, {layer: -0.1 * layer for layer in range(layers)}) for model in MODELS]
    return join.join(measured, pl.concat(rho), "test")


def page_of(joined, facts):
    return geometry.page(join.curves(joined), join.with_rho(joined), facts, "test")


def check_text(text):
    assert re.findall(r"None|nan|\bnull\b|[{}]|undefined", text) == []
    for part in text.split("\n\n"):
        rows = [line for line in part.splitlines() if line.startswith("| ")]
        assert len({line.count(" | ") for line in rows}) <= 1
        assert len(rows) <= 12


def test_a_page_says_what_goes_with_rho_and_that_depth_does_too(rng, facts):
    text = page_of(table(rng), facts)
    check_text(text)
    assert re.search(
        r"\*\*a\\_model\*\*: \d+ of 24 measures alike \(\+1\.00 or -1\.00, over 6 layers\); depth itself -1\.00", text
    )
    assert "| Norm of the vector | +1.00 | -1.00 |" in text
    assert "| Effective rank | -1.00 | +1.00 |" in text
    assert "1,000 distinct sentences" in text
    assert "<b>" not in text


def test_the_strongest_is_named_where_it_stands_alone(rng, facts):
    joined = table(rng).filter(pl.col("measure").is_in(["norm", "curvature"]))
    related = join.with_rho(joined)
    related = related.with_columns(correlation=pl.when(measure="curvature").then(0.2).otherwise("correlation"))
    assert "Norm of the vector (+1.00, over 6 layers); depth itself -1.00" in "".join(
        geometry.answer(related, facts, "test")
    )


def test_what_is_left_out_or_undefined_is_said_or_empty(rng, facts):
    joined = table(rng).filter(pl.col("level") != "tokens").with_columns(low=pl.lit(None, pl.Float64))
    joined = joined.with_columns(value=pl.when(pl.col("measure") == "softmax_entropy").then(None).otherwise("value"))
    facts["left_out"][MODELS[1]] = {"curvature": "no tokens", "dilution": "no tokens"}
    text = page_of(joined, facts)
    check_text(text)
    assert "- \\<b\\>\\|\\$x\\$: curvature, dilution; no tokens" in text
    assert geometry_picture.draw(join.curves(joined), facts, "test").axes


def test_too_few_layers_are_said(rng, facts):
    text = page_of(table(rng, layers=3), facts)
    check_text(text)
    assert "**a\\_model**: nothing; too few layers have a rho" in text


def test_a_picture_has_a_panel_for_rho_and_each_measure_with_a_line_for_each_model(rng, facts):
    figure = geometry_picture.draw(join.curves(table(rng)), facts, "test")
    shown = [axis for axis in figure.axes if axis.get_visible()]
    assert len(shown) == 1 + len(run.facts())
    assert shown[0].get_title(loc="left") == "rho on test"
    norm = next(axis for axis in shown if axis.get_title(loc="left") == "Norm of the vector")
    lines = [line for line in norm.get_lines() if line.get_label() in ("a_model", r"<b>|\$x\$")]
    assert [line.get_ydata().tolist() for line in lines] == [[0, -1, -2, -3, -4, -5]] * 2


def test_all_pairs_of_layers_are_in_the_square(rng, facts):
    joined = table(rng, layers=3)
    rows = joined.filter(encoder="a_model", measure="cka")
    square, layers = geometry_picture.square_of(rows, own=1.0)
    assert layers.tolist() == [0, 1, 2]
    assert np.array_equal(square, square.T)
    assert np.diag(square).tolist() == [1, 1, 1]
    assert square[2, 1] == rows.filter(layer=2, other=1)["value"].item()
    assert len(geometry_picture.draw_layers(joined).axes) == 2 * 2 * 2  # with a colour bar each
    assert geometry_picture.draw_layers(joined.filter(pl.col("other").is_null())).texts
