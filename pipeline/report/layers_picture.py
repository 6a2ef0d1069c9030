"""results/layers.png: rho by layer with the band of each curve, and the encoders without layers beside it."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from pipeline.formats import vectors
from pipeline.report.pictures import BLACK, COLOURS, DASHES, GREY, MARKERS, plain, styled, values, whole_numbers
from pipeline.report.rows import without_nan

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVE = ["name", "pooling"]
PANELS = 2
"""splits side by side"""
RING: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 8.5, "markerfacecolor": "none"}
HEIGHT, WIDTH_OF_CURVES, WIDTH_OF_BAR, LENGTH_OF_LETTER = 2.9, 3.5, 0.23, 0.07
"""inches; the height is that of a panel without the names of bars below it"""


def draw(table: pl.DataFrame, splits: Sequence[str]) -> "Figure":
    """CORRELATIONS (formats.tables) and the splits to show -> a figure: for each split curves, bars, or both."""
    from matplotlib.figure import Figure

    table = without_nan(table).filter(pl.col("split").is_in(splits))
    curves = table.filter(pl.col("layer").is_not_null())
    bars = table.filter(pl.col("layer").is_null())
    widths = [WIDTH_OF_CURVES] if len(curves) else []
    if len(bars):
        room_for_title = 0.6 if widths else 2.4
        widths.append(max(room_for_title, WIDTH_OF_BAR * len(bars.filter(split=splits[0]))))
    columns, lines = min(len(splits), PANELS), math.ceil(len(splits) / PANELS)
    height = HEIGHT + LENGTH_OF_LETTER * max((len(name_of_bar(row)) for row in bars.iter_rows(named=True)), default=8)
    with styled():
        size = (sum(widths) * columns + 1.0, height * lines + 0.3)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(lines, len(widths) * columns, sharey=True, squeeze=False, width_ratios=widths * columns)
        panels = axes.reshape(-1, len(widths))  # a row for each split
        for split, of_split in zip(splits, panels):
            if len(curves):
                draw_curves(of_split[0], curves.filter(split=split))
            if len(bars):
                draw_bars(of_split[-1], bars.filter(split=split))
            of_split[0].set_title(plain(f"{split} ({table.filter(split=split)['n'][0]} pairs)"))
        for axis in panels[len(splits) :].flat:
            axis.set_visible(False)
        finish(figure, axes, below_zero=_below_zero(table))
    return figure


def finish(figure: "Figure", axes: np.ndarray, below_zero: bool) -> None:
    """What all panels share: the label of the y axis, a line at 0 if anything is below it, the legend of the curves."""
    for axis in axes.flat:
        if below_zero:
            axis.axhline(0, color=BLACK, linewidth=0.7, zorder=1)
    for axis in axes[:, 0]:
        axis.set_ylabel("Spearman's rho with the labels")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside upper left", ncols=min(5, len(handles)), frameon=False)


def _below_zero(table: pl.DataFrame) -> bool:
    columns = [pl.col(name).min() for name in ("spearman", "spearman_low", "spearman_band_low")]
    return (table.select(pl.min_horizontal(columns)).item() or 0) < 0


def draw_curves(axis: "Axes", rows: pl.DataFrame, looks: Sequence[tuple] = ()) -> None:
    """One line with its band for each model of one split, and a ring around its selected layer.

    A model has its own look by its place among `looks`, keys of CURVE, or among the rows where that is empty.
    """
    curves = rows.partition_by(CURVE, maintain_order=True)
    for number, curve in enumerate(curves):
        curve = curve.sort("layer")
        number = looks.index(curve.select(CURVE).row(0)) if looks else number
        colour = COLOURS[number % len(COLOURS)]
        dashes, marker = DASHES[number // len(COLOURS) % len(DASHES)], MARKERS[number % len(MARKERS)]
        layers, rho = values(curve["layer"]), values(curve["spearman"])
        low, high = values(curve["spearman_band_low"]), values(curve["spearman_band_high"])
        axis.fill_between(layers, low, high, color=colour, alpha=min(0.12, 0.3 / len(curves)), linewidth=0)
        for bound in (low, high):
            axis.plot(layers, bound, color=colour, linestyle=dashes, linewidth=0.6, alpha=0.7)
        label = plain(f"{curve['name'][0]}, {curve['pooling'][0].replace('_', ' ')}")
        axis.plot(
            layers, rho, color=colour, linestyle=dashes, marker=marker, markersize=3.5, linewidth=1.5, label=label
        )
        chosen = curve.filter("selected")
        axis.plot(values(chosen["layer"]), values(chosen["spearman"]), **RING, markeredgecolor=colour)
    axis.plot([], [], **RING, markeredgecolor=GREY, label="selected layer")
    whole_numbers(axis)


def draw_bars(axis: "Axes", rows: pl.DataFrame) -> None:
    """A mark with its interval for each encoder without layers of one split."""
    positions = range(len(rows))
    axis.vlines(positions, values(rows["spearman_low"]), values(rows["spearman_high"]), color=GREY, linewidth=2.2)
    axis.plot(positions, values(rows["spearman"]), "s", markersize=4, color=BLACK)
    axis.set_xticks(positions, [name_of_bar(row) for row in rows.iter_rows(named=True)], rotation=90)
    axis.set_xlim(-0.6, max(len(rows) - 0.4, 0.4))
    axis.spines["left"].set_visible(False)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x", visible=False)


def name_of_bar(row: dict) -> str:
    """The name of an encoder without layers, its pooling where that is not the mean, and whether rho is undefined."""
    words = [row["name"]]
    if row["pooling"] not in (None, "mean", vectors.OWN):
        words.append(row["pooling"].replace("_", " "))
    if row["spearman"] is None:
        words.append("(undefined)")
    return plain(" ".join(words))
