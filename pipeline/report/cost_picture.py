"""results/cost.png: rho against the time of a pair, a point for each layer, and the Pareto front."""

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from pipeline.report.layers_picture import RING
from pipeline.report.pictures import BLACK, COLOURS, GREY, MARKERS, legend_above, plain, styled, values

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = (7.2, 4.1)
"""inches"""
TEXT: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8}
FAR = 1e6
"""the front goes on to the right of its last step"""
LETTER = 0.018
"""height of a letter that stands on its side, as a share of the axis"""


def draw(table: pl.DataFrame, split: str) -> "Figure":
    """The rows of `cost_rows.rows` -> a figure."""
    from matplotlib.figure import Figure

    with styled():
        figure = Figure(figsize=SIZE, layout="constrained")
        if table.is_empty():
            figure.text(0.5, 0.5, "No encoder has both a cost and a rho.", ha="center", va="center")
            return figure
        axis = figure.subplots()
        axis.set_xscale("log")
        draw_front(axis, table.filter("front").sort("ms"))
        draw_models(axis, table.filter(pl.col("layer").is_not_null()))
        draw_points(axis, table.filter(pl.col("layer").is_null()))
        finish(axis, table)
        axis.set_title(plain(split))
        legend_above(figure, axis)
    return figure


def draw_front(axis: "Axes", front: pl.DataFrame) -> None:
    """A staircase: for any time, the largest rho that can be had."""
    last = front["ms"][-1] * FAR
    ms, rho = np.append(values(front["ms"]), last), np.append(values(front["spearman"]), front["spearman"][-1])
    axis.step(
        ms, rho, where="post", color=BLACK, linewidth=1.1, linestyle=(0, (4, 2)), zorder=1.5, label="Pareto front"
    )


def draw_models(axis: "Axes", rows: pl.DataFrame) -> None:
    """A line for each model through its layers, the selected layer ringed and with its interval."""
    for number, curve in enumerate(rows.partition_by("encoder", "name", maintain_order=True)):
        curve = curve.sort("layer")
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        ms, rho = values(curve["ms"]), values(curve["spearman"])
        axis.hlines(rho, values(curve["ms_low"]), values(curve["ms_high"]), color=colour, linewidth=0.9, alpha=0.45)
        label = plain(f"{curve['name'][0]}, by layer")
        axis.plot(ms, rho, color=colour, marker=marker, markersize=4, linewidth=1.2, label=label)
        chosen = curve.filter("selected")
        low, high = values(chosen["spearman_low"]), values(chosen["spearman_high"])
        axis.vlines(values(chosen["ms"]), low, high, color=colour, linewidth=1.1, alpha=0.7)
        axis.plot(values(chosen["ms"]), values(chosen["spearman"]), **RING, markeredgecolor=colour)
        for place, offset in {0: (-9, 4), len(curve) - 1: (5, 4)}.items():
            axis.annotate(str(curve["layer"][place]), (ms[place], rho[place]), offset, **TEXT, color=colour)
    if len(rows):
        axis.plot([], [], **RING, markeredgecolor=GREY, label="selected layer")


def draw_points(axis: "Axes", rows: pl.DataFrame) -> None:
    """A square with both intervals for each encoder without layers, and its name above."""
    ms, rho, high = (values(rows[name]) for name in ("ms", "spearman", "spearman_high"))
    axis.vlines(ms, values(rows["spearman_low"]), high, color=GREY, linewidth=1.4)
    axis.hlines(rho, values(rows["ms_low"]), values(rows["ms_high"]), color=GREY, linewidth=1.4)
    axis.plot(ms, rho, "s", markersize=4.5, color=BLACK)
    for x, y, name in zip(ms, np.where(np.isnan(high), rho, high), rows["name"]):
        axis.annotate(plain(name), (x, y), (0, 4), **TEXT, rotation=90, ha="center", va="bottom")


def finish(axis: "Axes", table: pl.DataFrame) -> None:
    """Labels, plain numbers on the log axis, a line at 0 where something lies below it."""
    from matplotlib.ticker import FuncFormatter

    if (table["spearman_low"].min() or 0) < 0 or table["spearman"].min() < 0:  # type: ignore[operator]
        axis.axhline(0, color=BLACK, linewidth=0.7, zorder=1)
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))
    axis.set_xlabel("milliseconds for a single pair, from text to score")
    axis.set_ylabel("Spearman's rho with the labels")
    ms = values(table["ms"])
    axis.set_xlim(np.min(ms) / 2, np.max(ms) * 2)
    low, high = axis.get_ylim()
    names = table.filter(pl.col("layer").is_null())["name"].str.len_chars().max()
    axis.set_ylim(low, high + (high - low) * LETTER * float(names or 0))  # type: ignore[arg-type]  # room for the names
