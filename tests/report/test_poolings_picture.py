"""results/poolings.png shows the tables: curves, differences with their intervals, and what is significant."""

import matplotlib.colors
import numpy as np
import polars as pl
import pytest

from pipeline.report import pictures, poolings_picture
from pipeline.report.pictures import LINE
from tests.report import making

RED, GREY = (matplotlib.colors.to_rgba(colour) for colour in (pictures.RED, pictures.GREY))


def drawn(rng, table, layers=None):
    layers = making.curves(rng, table) if layers is None else layers
    figure = poolings_picture.draw(table, layers, "test")
    return figure, layers, np.array(figure.axes).reshape(-1, 2)


def test_curves_are_those_of_the_table_with_the_range_of_their_runs(rng):
    table = making.poolings(rng, "mn")
    _, layers, axes = drawn(rng, table)
    for model, (left, _) in zip("mn", axes):
        lines = {line.get_label(): line for line in left.lines}
        assert list(lines) == ["mean", "attention", "diagonal", "max"]
        assert left.get_title(loc="left") == f"{model}, test"
        for (name, line), band in zip(lines.items(), left.collections):
            rows = layers.filter(encoder=model, pooling=name, split="test").sort("layer")
            assert np.array_equal(line.get_xdata(), rows["layer"])
            assert np.array_equal(line.get_ydata(), rows["spearman"])
            corners = {tuple(corner) for corner in band.get_paths()[0].vertices}
            assert set(zip(rows["layer"], rows["least"])) | set(zip(rows["layer"], rows["most"])) <= corners


def test_differences_are_those_of_the_table_and_the_significant_ones_are_red_and_filled(rng):
    p = pl.when(pl.col("pooling").is_in(["max", "diagonal"])).then(0.0499).when(pl.col("p") > 0).then(0.05)
    table = making.poolings(rng, "mn").with_columns(p.alias("p"))
    _, _, axes = drawn(rng, table)
    for model, (_, right) in zip("mn", axes):
        rows = table.filter(encoder=model, family="pooling", against="mean", split="test").sort("difference")
        intervals, points = right.collections
        assert np.array_equal(points.get_offsets(), np.stack([rows["difference"], np.arange(len(rows))], axis=1))
        bounds = np.array([segment[:, 0] for segment in intervals.get_segments()])
        assert np.array_equal(bounds, rows.select("difference_low", "difference_high").to_numpy())
        significant = rows["pooling"].is_in(["max", "diagonal"])
        assert [tuple(colour) for colour in intervals.get_colors()] == [RED if found else GREY for found in significant]
        assert [tuple(face) == RED for face in points.get_facecolors()] == significant.to_list()
        layers = {"scalar_mix": "scalar mix", "pairs_of_layers": "pairs of layers, 0+2"}
        labels = [layers.get(name, f"{name}, layer 1") for name in rows["pooling"]]
        assert [label.get_text() for label in right.get_yticklabels()] == labels
        assert right.get_xlabel() == "Spearman's rho, minus that of the mean\n(red: p < .05 after Holm)"


def test_the_legend_has_each_pooling_once(rng):
    figure, _, _ = drawn(rng, making.poolings(rng, "mn"))
    [legend] = figure.legends
    names = ["mean", "attention", "diagonal", "max", poolings_picture.RING]
    assert [text.get_text() for text in legend.get_texts()] == names


def test_a_ring_is_around_the_point_that_is_chosen_without_labels_and_nowhere_else(rng):
    _, layers, axes = drawn(rng, making.poolings(rng, "mn"))
    for model, (left, _) in zip("mn", axes):
        ring = left.collections[-1]
        [point] = layers.filter(encoder=model, pooling="mean", split="test", layer=2)["spearman"]
        assert ring.get_offsets().tolist() == [[2, point]]
    _, _, axes = drawn(rng, making.poolings(rng, "mn", ("max", "mean")))
    for left, _ in axes:
        assert poolings_picture.RING not in [drawn.get_label() for drawn in left.collections]


def test_where_no_familiar_pooling_was_swept_the_others_are_drawn(rng):
    _, _, [[left, right]] = drawn(rng, making.poolings(rng, names=("norm_mean", "skip_first")))
    assert sorted(line.get_label() for line in left.lines) == ["norm mean", "skip first"]
    assert right.get_xlabel().startswith("Spearman's rho, minus that of norm mean\n")


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_undefined_figures_leave_gaps(rng, tmp_path, missing):
    table = making.poolings(rng)
    for name in ("difference", "difference_low", "difference_high", "p"):
        table = table.with_columns(
            pl.when(pl.col("pooling") == "max").then(pl.lit(missing)).otherwise(name).alias(name)
        )
    table = table.with_columns(
        pl.when(pl.col("pooling") == "diagonal")
        .then(pl.lit(missing))
        .otherwise("difference_low")
        .alias("difference_low")
    )
    layers = making.curves(rng, table).with_columns(
        pl.lit(missing, pl.Float64).alias(name) for name in ("spearman", "least")
    )
    figure, _, [[left, right]] = drawn(rng, table, layers)
    assert len(right.get_yticklabels()) == 4
    assert all(np.isnan(line.get_ydata()).all() for line in left.lines)
    pictures.save(figure, tmp_path / "p.png")


def test_the_picture_grows_with_models_and_poolings(rng):
    names = ("mean", *(f"last_{i}" for i in range(30)))
    one, two, many = (drawn(rng, table)[0] for table in (
        making.poolings(rng), making.poolings(rng, "mn"), making.poolings(rng, names=names)
    ))  # fmt: skip
    height_of = [figure.get_size_inches()[1] for figure in (one, two, many)]
    assert height_of[1] == pytest.approx(2 * height_of[0] - LINE)
    assert height_of[2] > height_of[1]


def test_without_models_the_picture_says_so(rng, tmp_path):
    table = making.poolings(rng)
    figure = poolings_picture.draw(table.clear(), making.curves(rng, table).clear(), None)
    assert [text.get_text() for text in figure.texts] == ["There are no models to compare."]
    pictures.save(figure, tmp_path / "p.png")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("names", [("mean",), ("scalar_mix",)])
def test_a_single_pooling_still_has_a_picture(rng, tmp_path, names):
    figure, _, [[_, right]] = drawn(rng, making.poolings(rng, names=names))
    assert not right.get_yticklabels()
    pictures.save(figure, tmp_path / "p.png")
