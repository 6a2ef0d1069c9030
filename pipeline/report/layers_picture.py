"""results/layers.png: rho by layer, and encoders without layers as lines across the same panel."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from pipeline.formats import vectors
from pipeline.formats.names import encoder_name
from pipeline.report import lines_across
from pipeline.report.pictures import (
    COLOURS,
    DASHES,
    GREY,
    MARKERS,
    below_zero,
    legend_above,
    plain,
    styled,
    values,
    whole_numbers,
)
from pipeline.report.rows import without_nan

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVE = ["name", "pooling"]
PANELS = 2
"""splits side by side"""
RING: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 8.5, "markerfacecolor": "none"}
HEIGHT, WIDTH, WIDTH_OF_ONE, LENGTH_OF_LETTER = 2.9, 3.6, 4.8, 0.062
"""inches of a panel among others or alone; the names at its right come on top"""
MOST_EDGES = 2
"""curves of which the bands can be told apart by their edges"""
MOST_MARKERS = 13
"""on a curve"""


def draw(table: pl.DataFrame, splits: Sequence[str], main: str, seeds: Mapping[str, str] | None = None) -> "Figure":
    """CORRELATIONS (formats.tables) -> a figure with a panel for each of some splits.

    The curve that is best on the split `main` is shaded. `seeds`: {model: what models that differ in their seed are
    called together} (formats.manifest); they are one curve.
    """
    from matplotlib.figure import Figure

    table = without_nan(table).filter(pl.col("split").is_in(splits))
    rows = table.filter(pl.col("layer").is_null())
    if len(rows) == len(table):
        return lines_across.draw_alone(table, splits, main, PANELS, {row: label(row) for row in keys_of(rows)})
    curves = together(table.filter(pl.col("layer").is_not_null()), seeds or {})
    names = {row: label(row) for row in keys_of(rows)}
    columns, lines = min(len(splits), PANELS), math.ceil(len(splits) / PANELS)
    width = (WIDTH if columns > 1 else WIDTH_OF_ONE) + LENGTH_OF_LETTER * max(map(len, names.values()), default=0)
    with styled():
        figure = Figure(figsize=(width * columns + 0.6, HEIGHT * lines), layout="constrained")
        axes = figure.subplots(lines, columns, sharey=True, squeeze=False)
        for axis, split in zip(axes.flat, splits):
            draw_curves(axis, curves.filter(split=split), shaded=best_of(curves, main))
            lines_across.draw(axis, rows.filter(split=split), names)
            axis.set_title(plain(f"{split} ({table.filter(split=split)['n'][0]:,} pairs)"))
        for axis in axes.flat[len(splits) :]:
            axis.set_visible(False)
        for axis in axes[:, 0]:
            axis.set_ylabel("Spearman's rho with the labels")
        below_zero(axes.flat[: len(splits)])
        legend_above(figure, axes.flat[0])
        lines_across.name(figure, axes.flat[: len(splits)])
    return figure


def keys_of(rows: pl.DataFrame) -> list[tuple]:
    """The encoders without layers."""
    return rows.select(CURVE).unique(maintain_order=True).rows()


def label(key: tuple) -> str:
    """An encoder in a picture: its name, and its pooling where that is not the mean."""
    name, pooling = key
    own = pooling in (None, "mean", vectors.OWN)
    return plain(name if own else f"{name}, {pooling.replace('_', ' ')}")


def together(curves: pl.DataFrame, seeds: Mapping[str, str]) -> pl.DataFrame:
    """Rows with layers -> those of models that differ in their seed as one curve: the mean, and as its band the range.

    Such a curve has no selected layer, since each of its models has one. `models` says how many they are.
    """
    curves = curves.with_row_index("place").with_columns(models=pl.lit(1, pl.UInt32))
    many = curves.filter(pl.col("encoder").is_in(list(seeds)))
    if many.is_empty():
        return curves
    named = many.select("encoder", "pooling", "correction", "similarity").rows()
    calls = [encoder_name(seeds[encoder], *others) for encoder, *others in named]
    rho = pl.col("spearman")
    merged = (
        many.with_columns(pl.Series("name", calls))
        .group_by(*CURVE, "split", "layer", maintain_order=True)
        .agg(
            pl.col("place").min(),
            pl.len().alias("models"),
            rho.mean(),
            rho.min().alias("spearman_band_low"),
            rho.max().alias("spearman_band_high"),
            pl.lit(False).alias("selected"),
        )
    )
    others = curves.filter(~pl.col("encoder").is_in(list(seeds)))
    return pl.concat([others, merged], how="diagonal").sort("place")


def best_of(curves: pl.DataFrame, split: str | None = None) -> tuple | None:
    """The key of the curve with the largest rho at its selected layer on a split, or on all; None for none."""
    chosen = curves.filter("selected", pl.col("spearman").is_not_null())
    chosen = chosen if split is None else chosen.filter(split=split)
    means = chosen.group_by(CURVE, maintain_order=True).agg(pl.col("spearman").mean()).sort("spearman")
    return means.select(CURVE).row(-1) if len(means) else None


def draw_curves(axis: "Axes", rows: pl.DataFrame, looks: Sequence[tuple] = (), shaded: tuple | None = None) -> None:
    """One line for each model of one split, and a ring around its selected layer; of one its band.

    A model has its own look by its place among `looks`, keys of CURVE, or among the rows where that is empty. The band
    of `shaded` is shaded, and so is the range of several seeds; those of a few others have thin edges.
    """
    curves = rows.partition_by(CURVE, maintain_order=True)
    for number, curve in enumerate(curves):
        curve = curve.sort("layer")
        key = curve.select(CURVE).row(0)
        number = looks.index(key) if looks else number
        colour, dashes = COLOURS[number % len(COLOURS)], DASHES[number // len(COLOURS) % len(DASHES)]
        layers, rho = values(curve["layer"]), values(curve["spearman"])
        low, high = values(curve["spearman_band_low"]), values(curve["spearman_band_high"])
        of_seeds = "models" in curve.columns and curve["models"][0] > 1
        if of_seeds or key == shaded:
            axis.fill_between(layers, low, high, color=colour, alpha=0.3 if of_seeds else 0.13, linewidth=0)
        elif len(curves) <= MOST_EDGES:
            for bound in (low, high):
                axis.plot(layers, bound, color=colour, linestyle=(0, (1, 1.5)), linewidth=0.8)
        look: dict[str, Any] = {"color": colour, "linestyle": dashes, "marker": MARKERS[number % len(MARKERS)]}
        look |= {"markersize": 3.5, "markevery": max(1, math.ceil(len(layers) / MOST_MARKERS)), "linewidth": 1.5}
        axis.plot(layers, rho, **look, label=label(key))
        chosen = curve.filter("selected")
        axis.plot(values(chosen["layer"]), values(chosen["spearman"]), **RING, markeredgecolor=colour)
    if rows["selected"].any():
        axis.plot([], [], **RING, markeredgecolor=GREY, label="selected layer")
    whole_numbers(axis)
