"""What all pictures share: their look, text that is shown as it is, and how a figure becomes files."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from pipeline.base.files import replacing
from pipeline.report.markdown import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titlesize": 9.5,
    "figure.constrained_layout.w_pad": 0.07,
    "grid.alpha": 0.25,
    "svg.fonttype": "path",
    "svg.hashsalt": "drillcore",
    "grid.linewidth": 0.6,
}
BLACK, GREY, RED, BLUE, GREEN = "#1a1a1a", "#8c8c8c", "#cc2529", "#0072b2", "#009e73"
PINK, ORANGE, SKY = "#cc79a7", "#e69f00", "#56b4e9"
COLOURS = (BLUE, RED, GREEN, PINK, ORANGE, SKY)
"""Okabe and Ito's, made to be told apart with any kind of colour blindness, but red for their vermilion"""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":")
DPI = 200
ENTRY, LETTER, LINE = 0.62, 0.068, 0.19
"""inches of a legend: the width of an entry without its text and that of a letter, the height of a line"""


@contextmanager
def styled() -> Iterator[None]:
    """Draw inside this block. No window system is needed, and nothing of matplotlib's state stays changed."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        yield


def plain(text: str) -> str:
    """Text that matplotlib shows as it is: no formulas, no control characters, no legend entry dropped for its `_`."""
    text = visible(text).replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def values(column: pl.Series) -> np.ndarray:
    """A column as float64 with NaN for what is undefined, which matplotlib leaves out."""
    return column.cast(pl.Float64).fill_null(np.nan).to_numpy()


def whole_numbers(axis: "Axes", last: float | None = None) -> None:
    """Ticks of an axis of layers, none beyond the last."""
    from matplotlib.ticker import MaxNLocator

    locator = MaxNLocator(integer=True, nbins="auto")
    locator.set_axis(axis.xaxis)
    axis.xaxis.set_major_locator(locator)
    if last is not None:
        axis.set_xticks([tick for tick in locator() if axis.get_xlim()[0] <= tick <= last])
    axis.set_xlabel("layer (0 = embedding)")


def below_zero(axes: Iterable["Axes"]) -> None:
    """A line at 0 in panels of which the y axis goes below it."""
    for axis in axes:
        if axis.get_ylim()[0] < 0:
            axis.axhline(0, color=BLACK, linewidth=0.7, zorder=1)


def legend_above(figure: "Figure", *axes: "Axes") -> None:
    """One legend above all panels, each entry once, for which the figure grows."""
    found = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels())}
    if found:
        columns = columns_of([ENTRY + LETTER * len(label) for label in found], figure.get_figwidth())
        figure.set_figheight(figure.get_figheight() + LINE * math.ceil(len(found) / columns))
        figure.legend(found.values(), found.keys(), loc="outside upper left", ncols=columns, frameon=False)


def columns_of(widths: Sequence[float], available: float) -> int:
    """The most columns, filled one after the other as those of a legend, that are not wider than what is available."""
    for columns in range(len(widths), 1, -1):
        short, longer = divmod(len(widths), columns)
        rows = [short + (column < longer) for column in range(columns)]
        starts = [sum(rows[:column]) for column in range(columns)]
        if sum(max(widths[start : start + count]) for start, count in zip(starts, rows)) <= available:
            return columns
    return 1


def save(figure: "Figure", path: str | Path) -> None:
    """A figure as a PNG, and beside it as an SVG of the same name, whose text is drawn as paths: any machine shows it
    alike. The same figure gives the same bytes.
    """
    path = Path(path)
    with styled():
        with replacing(path) as part:
            figure.savefig(part, dpi=DPI, format="png")
        with replacing(path.with_suffix(".svg")) as part:
            figure.savefig(part, format="svg", metadata={"Date": None})
