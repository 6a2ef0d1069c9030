"""Encoders without layers in a picture: lines across the panel of curves, named beside it; alone, a row for each."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from scipy.optimize import isotonic_regression

from pipeline.report.pictures import BLACK, plain, styled, values, whole_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#5a5a5a"
ROOM, SPACING = 0.035, 0.022
"""between curves and intervals, and between two intervals, as shares of the range of layers"""
GAP = 1.15
"""between two names, in heights of a letter"""
NAME: dict[str, Any] = {"fontsize": 7.5, "color": INK, "va": "center", "annotation_clip": False}
LEADER = {"arrowstyle": "-", "color": INK, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 0, "relpos": (0, 0.5)}
BESIDE = 1.045
"""where names begin, as a share of the panel's width"""
WIDTH, HEIGHT_OF_ROW, LENGTH_OF_LETTER = 3.2, 0.24, 0.075
"""inches of a panel of rows"""
Names = Mapping[tuple, str]
"""(name, pooling) -> how the encoder is called in the picture"""


def draw(axis: "Axes", rows: pl.DataFrame, names: Names) -> None:
    """A line across for each encoder of one split, its interval at the right end, and its name beside the panel.

    The names stand at the height of their lines until `name` moves them apart.
    """
    if rows.is_empty():
        return
    left, right = axis.get_xlim()
    whole_numbers(axis, right)
    axis.spines["bottom"].set_bounds(left, right)
    first = right + ROOM * (right - left)
    for place, row in enumerate(rows.sort("spearman").iter_rows(named=True)):
        called, rho = names[row["name"], row["pooling"]], row["spearman"]
        if rho is not None:
            x = first + place * SPACING * (right - left)
            axis.axhline(rho, color=INK, linewidth=0.8, linestyle=(0, (5, 2)), zorder=1.5)
            axis.vlines(x, *values(pl.Series([row["spearman_low"], row["spearman_high"]])), color=INK, linewidth=1.1)
            axis.plot([x], [rho], "s", markersize=2.6, color=INK)
        place_of = axis.get_yaxis_transform()
        axis.annotate(
            called if rho is not None else f"{called} (undefined)",
            (1.0, np.nan if rho is None else rho),
            (BESIDE, 0.0 if rho is None else rho),
            xycoords=place_of,
            textcoords=place_of,
            arrowprops=None if rho is None else LEADER,
            **NAME,
        )
    axis.set_xlim(left, first + len(rows) * SPACING * (right - left))


def name(figure: "Figure", axes: Iterable["Axes"]) -> None:
    """Move names apart that would overlap, once the layout is known."""
    from matplotlib.text import Annotation

    figure.draw_without_rendering()
    for axis in axes:
        names = [text for text in axis.texts if isinstance(text, Annotation)]
        names.sort(key=lambda text: text.xyann[1])
        low, high = axis.get_ylim()
        inches = axis.get_window_extent().height / figure.dpi
        gap = GAP * NAME["fontsize"] / 72 / inches * (high - low)
        for text, y in zip(names, apart(np.array([text.xyann[1] for text in names]), gap, low, high)):
            text.xyann = (BESIDE, float(y))


def apart(wanted: np.ndarray, gap: float, low: float, high: float) -> np.ndarray:
    """Ascending places (K,) -> the closest ones, in squares, that are a gap from each other and in a range."""
    if not len(wanted):
        return wanted
    steps = gap * np.arange(len(wanted))
    highest = max(high - steps[-1], low)
    return np.clip(isotonic_regression(wanted - steps).x, low, highest) + steps


def draw_alone(table: pl.DataFrame, splits: Sequence[str], main: str, panels: int, names: Names) -> "Figure":
    """A study without curves: a row for each encoder with its interval, the best on the split `main` on top."""
    from matplotlib.figure import Figure

    order = table.filter(split=main).sort("spearman", nulls_last=False)
    keys = order.select("name", "pooling").rows()
    columns, lines = min(len(splits), panels), math.ceil(len(splits) / panels)
    height = HEIGHT_OF_ROW * len(keys) + 0.9
    width = WIDTH * columns + LENGTH_OF_LETTER * max((len(called) for called in names.values()), default=8)
    with styled():
        figure = Figure(figsize=(width, height * lines), layout="constrained")
        axes = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
        for axis, split in zip(axes.flat, splits):
            rows = {(row["name"], row["pooling"]): row for row in table.filter(split=split).iter_rows(named=True)}
            rho, low, high = (
                values(pl.Series([rows[key][column] for key in keys], dtype=pl.Float64))
                for column in ("spearman", "spearman_low", "spearman_high")
            )
            axis.hlines(range(len(keys)), low, high, color=INK, linewidth=1.6)
            axis.plot(rho, range(len(keys)), "s", markersize=4, color=BLACK)
            axis.set_title(plain(f"{split} ({table.filter(split=split)['n'][0]:,} pairs)"))
            axis.set_xlabel("Spearman's rho with the labels")
            axis.grid(axis="y", visible=False)
        called = [names[key] + (" (undefined)" if row is None else "") for key, row in zip(keys, order["spearman"])]
        axes[0, 0].set_yticks(range(len(keys)), called)
        axes[0, 0].set_ylim(-0.7, len(keys) - 0.3)
        for axis in axes.flat[: len(splits)]:
            if axis.get_xlim()[0] < 0 < axis.get_xlim()[1]:
                axis.axvline(0, color=BLACK, linewidth=0.7, zorder=1)
        for axis in axes.flat[len(splits) :]:
            axis.set_visible(False)
    return figure
