"""results/datasets.png: small multiples, a panel for each data set with rho by layer, and encoders without layers."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pipeline.report.layers_picture import CURVE, best_of, draw_curves, label
from pipeline.report.pictures import BLACK, GREY, below_zero, legend_above, plain, styled, values, whole_numbers
from pipeline.report.rows import without_nan

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = 2
"""data sets side by side"""
WIDTH, HEIGHT, LENGTH_OF_LETTER = 7.2, 2.1, 0.06
"""inches: two columns of a paper, and a row of panels without the names below it"""
SHARE_OF_BAR = 0.09
"""width of an encoder without layers, as a share of that of the curves"""
SPACE = 0.04
"""between two data sets, as such a share too"""
BAR = ["name", "pooling"]


def draw(joined: pl.DataFrame, reference: str | None) -> "Figure":
    """DATASETS (formats.datasets) -> a figure. An encoder has the same look and place in every panel."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    rows = without_nan(joined).filter("reported")
    curves, bars = rows.filter(pl.col("layer").is_not_null()), rows.filter(pl.col("layer").is_null())
    names = rows["dataset"].unique(maintain_order=True).to_list()
    looks = curves.select(CURVE).unique(maintain_order=True).rows()
    places = bars.select(BAR).unique(maintain_order=True).rows()
    columns = min(len(names), PANELS)
    lines = math.ceil(len(names) / columns)
    widths = ([1.0] if looks else []) + ([max(0.25, SHARE_OF_BAR * len(places))] if places else []) + [SPACE]
    letters = max((len(name) for name, _ in places), default=0)
    with styled():
        size = (WIDTH if columns > 1 else WIDTH / 1.6, HEIGHT * lines + LENGTH_OF_LETTER * letters + 0.3)
        figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.03, wspace=0))
        axes = figure.subplots(lines, len(widths) * columns, sharey=True, squeeze=False, width_ratios=widths * columns)
        panels = axes.reshape(-1, len(widths))  # a row for each data set; its last axis is empty
        for name, panel in zip(names, panels):
            if looks:
                draw_curves(panel[0], curves.filter(dataset=name), looks, best_of(curves))
                panel[0].set_xlabel("")
            if places:
                draw_bars(panel[-2], bars.filter(dataset=name), places)
            of = rows.filter(dataset=name)
            panel[0].set_title(plain(f"{name}, {of['split'][0]} ({of['n'][0]:,} pairs)"))
            for axis in panel[:-1]:
                draw_reference(axis, of, reference)
        for axis in (*panels[len(names) :].flat, *panels[:, -1]):
            axis.set_visible(False)
        finish(figure, axes[:, 0])
        name_below(figure, panels[: len(names)], columns, looks, places)
    return figure


def name_below(figure: "Figure", panels: np.ndarray, columns: int, looks: list[tuple], places: list[tuple]) -> None:
    """Names below the axes of the last line, and of those above an empty cell, into which they hang."""

    def name(some: np.ndarray) -> None:
        for panel in some:
            if looks:
                whole_numbers(panel[0])
            if places:
                panel[-2].set_xticks(range(len(places)), map(label, places), rotation=90)

    last = (len(panels) - 1) // columns * columns
    name(panels[last:])
    if len(above := panels[max(0, len(panels) - columns) : last]):
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # these make no room for themselves
        name(above)


def draw_bars(axis: "Axes", rows: pl.DataFrame, places: list[tuple]) -> None:
    """A mark with its interval for each encoder without layers of one data set, at its place among `places`."""
    at = [places.index(row) for row in rows.select(BAR).rows()]
    axis.vlines(at, values(rows["spearman_low"]), values(rows["spearman_high"]), color=GREY, linewidth=2)
    axis.plot(at, values(rows["spearman"]), "s", markersize=3.5, color=BLACK)
    axis.set_xticks(range(len(places)), [""] * len(places))
    axis.set_xlim(-0.6, max(len(places) - 0.4, 0.4))
    axis.spines["left"].set_visible(False)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x", visible=False)


def draw_reference(axis: "Axes", rows: pl.DataFrame, reference: str | None) -> None:
    """A dashed line at the reference's rho."""
    rho = rows.filter(pl.col("selected"), pl.col("spearman").is_not_null(), name=reference or "")["spearman"]
    if len(rho):
        label = plain(reference or "")
        axis.axhline(rho[0], color=BLACK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1.5, label=label)


def finish(figure: "Figure", left: Iterable["Axes"]) -> None:
    """What all panels share: the label of the y axis, a line at 0 if anything is below it, the legend."""
    below_zero(figure.axes)
    for axis in left:
        axis.set_ylabel("Spearman's rho")
    legend_above(figure, *figure.axes)
