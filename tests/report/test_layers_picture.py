"""results/layers.png shows the table: its lines, bands, rings, bars and labels."""

import numpy as np
import polars as pl
import pytest

from pipeline.report import layers_picture, pictures
from tests.report import making

SPLITS = ["validation", "test", "test-20"]


def lines_of(axis):
    return {line.get_label(): line for line in axis.lines if not line.get_label().startswith("_")}


def panels_of(figure, kinds=2):
    visible = [axis for axis in figure.axes if axis.get_visible()]
    return [visible[i : i + kinds] for i in range(0, len(visible), kinds)]


def test_every_split_has_its_curves_bands_and_bars(rng):
    table = making.correlations(rng)
    panels = panels_of(layers_picture.draw(table, SPLITS))
    assert len(panels) == 3
    for split, (left, right) in zip(SPLITS, panels):
        assert left.get_title(loc="left") == f"{split} ({making.SIZES[split]} pairs)"
        lines = lines_of(left)
        assert set(lines) == {"m, mean", "n, mean", "selected layer"}
        for model, band in zip(("m", "n"), left.collections):
            rows = table.filter(pl.col("layer").is_not_null(), encoder=model, split=split).sort("layer")
            assert np.array_equal(lines[f"{model}, mean"].get_xdata(), rows["layer"])
            assert np.array_equal(lines[f"{model}, mean"].get_ydata(), rows["spearman"])
            corners = {tuple(corner) for corner in band.get_paths()[0].vertices}
            for bound in ("spearman_band_low", "spearman_band_high"):
                assert set(zip(rows["layer"], rows[bound])) <= corners
        bars = table.filter(pl.col("layer").is_null(), split=split)
        assert [label.get_text() for label in right.get_xticklabels()] == bars["name"].to_list()
        intervals = np.array([segment[:, 1] for segment in right.collections[0].get_segments()])
        assert np.array_equal(intervals, bars.select("spearman_low", "spearman_high").to_numpy())
        assert np.array_equal(right.lines[0].get_ydata(), bars["spearman"])


def test_a_ring_marks_the_selected_layer_of_each_curve(rng):
    [[left, _]] = panels_of(layers_picture.draw(making.correlations(rng, chosen=2), ["test"]))
    rings = [line for line in left.lines if line.get_markerfacecolor() == "none" and len(line.get_xdata())]
    assert [line.get_xdata().tolist() for line in rings] == [[2.0], [2.0]]


def test_the_legend_names_each_curve_once_and_axes_are_labelled(rng):
    figure = layers_picture.draw(making.correlations(rng), SPLITS)
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["m, mean", "n, mean", "selected layer"]
    assert figure.axes[0].get_ylabel() == "Spearman's rho with the labels"
    assert figure.axes[0].get_xlabel() == "layer (0 = embedding)"


@pytest.mark.parametrize(("low", "lines"), [(0.01, 0), (-0.01, 1)])
def test_a_line_at_zero_where_anything_is_below(rng, low, lines):
    table = making.correlations(rng).with_columns(spearman=0.5, spearman_low=0.4, spearman_band_low=low)
    [[left, _]] = panels_of(layers_picture.draw(table, ["test"]))
    assert sum(np.array_equal(line.get_ydata(), [0, 0]) for line in left.lines) == lines


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_undefined_figures_leave_gaps_and_are_named(rng, missing):
    undefined = (pl.col("name") == "overlap dice") | ((pl.col("name") == "m") & (pl.col("layer") == 0))
    no_interval = undefined | (pl.col("name") == "words")
    names = {
        "spearman": undefined,
        "spearman_low": no_interval,
        "spearman_high": no_interval,
        "spearman_band_low": undefined,
    }
    table = making.correlations(rng).with_columns(
        pl.when(where).then(pl.lit(missing)).otherwise(name).alias(name) for name, where in names.items()
    )
    [[left, right]] = panels_of(layers_picture.draw(table, ["test"]))
    assert np.isnan(lines_of(left)["m, mean"].get_ydata()).tolist() == [True, False, False]
    labels = [label.get_text() for label in right.get_xticklabels()]
    assert labels == ["overlap dice (undefined)", "overlap tfidf", "words"]
    assert np.isnan(right.lines[0].get_ydata()).tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("kept", "kinds"), [(pl.col("layer").is_null(), 1), (pl.col("layer").is_not_null(), 1), (pl.col("layer") == 1, 1)]
)
def test_models_or_baselines_alone_fill_the_picture(rng, tmp_path, kept, kinds):
    figure = layers_picture.draw(making.correlations(rng).filter(kept), ["validation", "test"])
    assert len(panels_of(figure, kinds)) == 2
    pictures.save(figure, tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def test_everything_undefined_still_gives_a_picture(rng, tmp_path):
    columns = [name for name in making.correlations(rng).columns if name.startswith("spearman")]
    table = making.correlations(rng).with_columns(pl.lit(None, pl.Float64).alias(name) for name in columns)
    pictures.save(layers_picture.draw(table, SPLITS), tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def test_many_curves_are_told_apart(rng):
    models = [(f"m{i:02}", "idf_mean", "none", layer, "cosine") for i in range(15) for layer in (0, 1)]
    [[left]] = panels_of(layers_picture.draw(making.correlations(rng, models), ["test"]), 1)
    curves = [line for label, line in lines_of(left).items() if label != "selected layer"]
    assert [line.get_label() for line in curves] == [f"m{i:02}, idf mean" for i in range(15)]
    assert len({(line.get_color(), line.get_linestyle()) for line in curves}) == 15


def test_names_are_shown_as_they_are(rng, tmp_path):
    names = [("_a$b$", "mean", "none", 0, "cosine"), ("x$_1$\x1b", "mean", "none", None, "cosine")]
    figure = layers_picture.draw(making.correlations(rng, names, sizes={"te$t$": 9}, chosen=0), ["te$t$"])
    pictures.save(figure, tmp_path / "c.png")  # a formula that is none would raise
    assert figure.axes[0].get_title(loc="left") == r"te\$t\$ (9 pairs)"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [r" _a\$b\$, mean", "selected layer"]
    assert figure.axes[1].get_xticklabels()[0].get_text() == r"x\$_1\$\x1b"


def test_nothing_stays_behind_of_the_style(rng):
    import matplotlib

    before = dict(matplotlib.rcParams)
    layers_picture.draw(making.correlations(rng), SPLITS)
    assert dict(matplotlib.rcParams) == before
