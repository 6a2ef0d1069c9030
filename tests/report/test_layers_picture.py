"""results/layers.png shows the table: its curves, bands, rings, lines across and labels."""

import json
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from pipeline.report import layers_picture, lines_across, models, pictures
from tests.report import making

SPLITS = ["validation", "test", "test-20"]


def lines_of(axis):
    return {line.get_label(): line for line in axis.lines if not line.get_label().startswith("_")}


def panels_of(figure):
    return [axis for axis in figure.axes if axis.get_visible()]


def draw(table, splits=("test",), main="test", seeds=None):
    return layers_picture.draw(table, splits, main, seeds)


def bands_of(axis):
    """The corners of what is shaded."""
    from matplotlib.collections import PolyCollection

    found = [shape for shape in axis.collections if isinstance(shape, PolyCollection)]
    return [{tuple(corner) for corner in shape.get_paths()[0].vertices} for shape in found]


def test_every_split_has_its_curves_and_a_line_with_its_interval_for_each_encoder_without_layers(rng):
    table = making.correlations(rng)
    panels = panels_of(draw(table, SPLITS))
    assert len(panels) == 3
    for split, axis in zip(SPLITS, panels):
        assert axis.get_title(loc="left") == f"{split} ({making.SIZES[split]} pairs)"
        lines = lines_of(axis)
        assert set(lines) == {"m", "n", "selected layer"}
        for model in ("m", "n"):
            rows = table.filter(pl.col("layer").is_not_null(), encoder=model, split=split).sort("layer")
            assert np.array_equal(lines[model].get_xdata(), rows["layer"])
            assert np.array_equal(lines[model].get_ydata(), rows["spearman"])
        rows = table.filter(pl.col("layer").is_null(), split=split).sort("spearman")
        across = [line.get_ydata()[0] for line in axis.lines if list(line.get_xdata()) == [0, 1]]
        assert sorted(set(across) - {0}) == rows["spearman"].to_list()
        intervals = np.array([path.vertices[:, 1] for shape in axis.collections[1:] for path in shape.get_paths()])
        assert np.array_equal(intervals, rows.select("spearman_low", "spearman_high").to_numpy())
        assert {name.get_text(): name.xy[1] for name in axis.texts} == dict(rows.select("name", "spearman").rows())


def test_only_the_band_of_the_best_model_on_the_main_split_is_shaded(rng):
    best = (pl.col("encoder") == "n") & (pl.col("split") == "test")
    table = making.correlations(rng).with_columns(spearman=pl.when(best).then(0.99).otherwise("spearman"))
    for split, axis in zip(SPLITS, panels_of(draw(table, SPLITS))):
        [corners] = bands_of(axis)
        for model in ("m", "n"):
            rows = table.filter(pl.col("layer").is_not_null(), encoder=model, split=split)
            for bound in ("spearman_band_low", "spearman_band_high"):
                assert (set(zip(rows["layer"], rows[bound])) <= corners) == (model == "n")
        other = table.filter(pl.col("layer").is_not_null(), encoder="m", split=split).sort("layer")
        edges = [list(line.get_ydata()) for line in axis.lines]
        assert other["spearman_band_low"].to_list() in edges
        assert other["spearman_band_high"].to_list() in edges


def test_the_other_bands_of_many_models_are_not_drawn(rng):
    models = [(f"m{i}", "mean", "none", layer, "cosine") for i in range(8) for layer in (0, 1)]
    table = making.correlations(rng, models)
    [axis] = panels_of(draw(table))
    assert len(bands_of(axis)) == 1
    edges = set(table["spearman_band_low"]) | set(table["spearman_band_high"])
    assert not any(set(line.get_ydata()) & edges for line in axis.lines)


def test_a_ring_marks_the_selected_layer_of_each_curve(rng):
    [axis] = panels_of(draw(making.correlations(rng, chosen=2)))
    rings = [line for line in axis.lines if line.get_markerfacecolor() == "none" and len(line.get_xdata())]
    assert [line.get_xdata().tolist() for line in rings] == [[2.0], [2.0]]


def test_the_legend_names_each_curve_once_and_axes_are_labelled(rng):
    figure = draw(making.correlations(rng), SPLITS)
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["m", "n", "selected layer"]
    assert figure.axes[0].get_ylabel() == "Spearman's rho with the labels"
    assert figure.axes[0].get_xlabel() == "layer (0 = embedding)"


def random(model, seed, width=8, tokenizer="bytes"):
    found = making.manifest(model, weights={"random": seed, "config": {"hidden_size": width}})
    return json.loads(json.dumps(found | {"parts": found["parts"] | {"tokens": {"tokenizer": {"kind": tokenizer}}}}))


def test_models_that_differ_in_their_seed_are_one_curve_with_the_range_as_its_band(rng):
    encoders = [(name, "mean", "none", layer, "cosine") for name in ("u", "m", "u-1", "u-2") for layer in (0, 1, 2)]
    table = making.correlations(rng, [*encoders, *making.ENCODERS[-3:]])
    seeds = models.seeds({name: random(name, seed) for seed, name in enumerate(("u", "u-1", "u-2"))})
    [axis] = panels_of(draw(table, seeds=seeds))
    lines = lines_of(axis)
    assert list(lines) == ["u (3 seeds)", "m", "selected layer"]
    rho = np.array([table.filter(encoder=name, split="test").sort("layer")["spearman"] for name in ("u", "u-1", "u-2")])
    assert lines["u (3 seeds)"].get_ydata() == pytest.approx(rho.mean(axis=0))
    corners = next(corners for corners in bands_of(axis) if (0.0, rho[:, 0].min()) in corners)
    assert {*enumerate(rho.min(axis=0)), *enumerate(rho.max(axis=0))} <= corners
    rings = [line for line in axis.lines if line.get_markerfacecolor() == "none" and len(line.get_xdata())]
    assert len(rings) == 1


def test_what_differs_in_more_than_its_seed_or_is_trained_is_no_seed_of_another():
    manifests = {"a": random("a", 0), "b": random("b", 1, width=16), "c": random("c", 2, tokenizer="world")}
    assert models.seeds(manifests | {"d": making.manifest("d"), "e": making.manifest("e")}) == {}
    assert models.seeds(manifests | {"a-seed-5": random("a-seed-5", 5)}) == dict.fromkeys(
        ("a", "a-seed-5"), "a (2 seeds)"
    )


@pytest.mark.parametrize(("low", "lines"), [(0.01, 0), (-0.01, 1)])
def test_a_line_at_zero_where_anything_is_below(rng, low, lines):
    table = making.correlations(rng).with_columns(spearman=0.5, spearman_low=0.4, spearman_band_low=low)
    [axis] = panels_of(draw(table.with_columns(spearman_high=0.6, spearman_band_high=0.8)))
    axis_below = axis.get_ylim()[0] < 0
    assert sum(np.array_equal(line.get_ydata(), [0, 0]) for line in axis.lines) == axis_below >= lines


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
    [axis] = panels_of(draw(table))
    assert np.isnan(lines_of(axis)["m"].get_ydata()).tolist() == [True, False, False]
    assert {text.get_text() for text in axis.texts} == {"overlap dice (undefined)", "overlap tfidf", "words"}
    [alone] = panels_of(draw(table.filter(pl.col("layer").is_null())))
    assert next(text.get_text() for text in alone.get_yticklabels()) == "overlap dice (undefined)"
    assert np.isnan(alone.lines[0].get_xdata()).tolist() == [True, False, False]


@pytest.mark.parametrize("kept", [pl.col("layer").is_null(), pl.col("layer").is_not_null(), pl.col("layer") == 1])
@pytest.mark.parametrize("splits", [["test"], ["validation", "test"], SPLITS])
def test_models_or_baselines_alone_fill_the_picture(rng, tmp_path, kept, splits):
    figure = draw(making.correlations(rng).filter(kept), splits)
    assert len(panels_of(figure)) == len(splits)
    pictures.save(figure, tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def test_baselines_alone_are_rows_with_the_best_on_the_main_split_on_top(rng):
    table = making.correlations(rng).filter(pl.col("layer").is_null())
    rows = table.filter(split="test").sort("spearman")
    first, second = panels_of(draw(table, ["validation", "test"]))
    assert [text.get_text() for text in first.get_yticklabels()] == rows["name"].to_list()
    assert second.lines[0].get_xdata().tolist() == rows["spearman"].to_list()
    of_first = dict(table.filter(split="validation").select("name", "spearman").rows())
    assert first.lines[0].get_xdata().tolist() == [of_first[name] for name in rows["name"]]
    intervals = np.array([segment[:, 0] for segment in second.collections[0].get_segments()])
    assert np.array_equal(intervals, rows.select("spearman_low", "spearman_high").to_numpy())


def test_everything_undefined_still_gives_a_picture(rng, tmp_path):
    columns = [name for name in making.correlations(rng).columns if name.startswith("spearman")]
    table = making.correlations(rng).with_columns(pl.lit(None, pl.Float64).alias(name) for name in columns)
    for kept in (pl.lit(True), pl.col("layer").is_null()):
        pictures.save(draw(table.filter(kept), SPLITS), tmp_path / "c.png")
        assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def test_many_curves_are_told_apart(rng):
    encoders = [(f"m{i:02}", "idf_mean", "none", layer, "cosine") for i in range(15) for layer in (0, 1)]
    [axis] = panels_of(draw(making.correlations(rng, encoders)))
    curves = [line for label, line in lines_of(axis).items() if label != "selected layer"]
    assert [line.get_label() for line in curves] == [f"m{i:02}, idf mean" for i in range(15)]
    assert len({(line.get_color(), line.get_linestyle()) for line in curves}) == 15


@pytest.mark.parametrize("count", [1, 8, 14])
@pytest.mark.parametrize("layers", [3, 49])
def test_names_beside_the_panel_do_not_overlap_and_neither_do_legend_and_panel(rng, count, layers):
    baselines = [(f"a-baseline-with-a-name-{i}", "mean", "none", None, "cosine") for i in range(count)]
    encoders = [
        (f"a-model-with-a-name-{i}", "mean", "none", layer, "cosine") for i in range(8) for layer in range(layers)
    ]
    table = making.correlations(rng, [*encoders, *baselines])
    close = 0.5 + pl.int_range(pl.len()) * 1e-3  # as word overlap and its like are
    table = table.with_columns(spearman=pl.when(pl.col("layer").is_null()).then(close).otherwise("spearman"))
    figure = draw(table, ["validation", "test"])
    from matplotlib.text import Text

    figure.draw_without_rendering()
    window = figure.get_window_extent()
    legend = figure.legends[0].get_window_extent()
    for axis in panels_of(figure):
        boxes = sorted((Text.get_window_extent(name) for name in axis.texts), key=lambda box: box.y0)
        ink = [(box.y0 + box.y1) / 2 for box in boxes]
        assert all(above - below > 7.5 / 72 * figure.dpi for below, above in pairwise(ink))
        assert all(box.x0 >= axis.bbox.x1 and window.x0 <= box.x0 and box.x1 <= window.x1 + 1 for box in boxes)
        assert legend.y0 >= axis.bbox.y1
        assert axis.bbox.height > 1.8 * figure.dpi


def test_places_are_kept_where_there_is_room_and_moved_least_where_there_is_not():
    assert lines_across.apart(np.array([0.1, 0.5, 0.9]), 0.2, 0, 1).tolist() == [0.1, 0.5, 0.9]
    assert lines_across.apart(np.array([0.5, 0.5]), 0.2, 0, 1) == pytest.approx([0.4, 0.6])
    assert lines_across.apart(np.array([0.0, 0.0]), 0.2, 0, 1) == pytest.approx([0, 0.2])
    assert lines_across.apart(np.array([1.0, 1.0]), 0.2, 0, 1) == pytest.approx([0.8, 1.0])
    assert lines_across.apart(np.array([]), 0.2, 0, 1).tolist() == []


def test_a_legend_has_the_most_columns_that_fit():
    assert pictures.columns_of([1, 1, 1, 1], 4) == 4
    assert pictures.columns_of([1, 1, 1, 1], 3.9) == 3
    assert pictures.columns_of([3, 1, 1, 1], 4) == 2
    assert pictures.columns_of([9], 4) == 1


def test_names_are_shown_as_they_are(rng, tmp_path):
    names = [("_a$b$", "mean", "none", 0, "cosine"), ("x$_1$\x1b", "mean", "none", None, "cosine")]
    figure = layers_picture.draw(making.correlations(rng, names, sizes={"te$t$": 9}, chosen=0), ["te$t$"], "te$t$")
    pictures.save(figure, tmp_path / "c.png")  # a formula that is none would raise
    assert figure.axes[0].get_title(loc="left") == r"te\$t\$ (9 pairs)"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [r" _a\$b\$", "selected layer"]
    assert figure.axes[0].texts[0].get_text() == r"x\$_1\$\x1b"


def test_the_same_figure_gives_the_same_bytes_as_png_and_as_svg_without_a_date(rng, tmp_path):
    table = making.correlations(rng)
    for name in ("a", "b"):
        pictures.save(draw(table, SPLITS), tmp_path / f"{name}.png")
    for end in ("png", "svg"):
        assert (tmp_path / f"a.{end}").read_bytes() == (tmp_path / f"b.{end}").read_bytes()
    svg = (tmp_path / "a.svg").read_text()
    assert svg.startswith("<?xml")
    assert "<dc:date>" not in svg
    assert "<text" not in svg  # paths, which need no font
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "a.svg", "b.png", "b.svg"]


def test_nothing_stays_behind_of_the_style(rng):
    import matplotlib

    before = dict(matplotlib.rcParams)
    draw(making.correlations(rng), SPLITS)
    assert dict(matplotlib.rcParams) == before
