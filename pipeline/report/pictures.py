"""What both pictures share: their look, text that is shown as it is, and how a figure becomes a file."""

from collections.abc import Iterator
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
    "grid.linewidth": 0.6,
}
BLACK, GREY, RED, BLUE, GREEN = "#1a1a1a", "#8c8c8c", "#cc2529", "#0072b2", "#009e73"
PINK, ORANGE, SKY = "#cc79a7", "#e69f00", "#56b4e9"
COLOURS = (BLUE, RED, GREEN, PINK, ORANGE, SKY)
"""Okabe and Ito's, made to be told apart with any kind of colour blindness, but red for their vermilion"""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":")
DPI = 200


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


def whole_numbers(axis: "Axes") -> None:
    """Ticks of an axis of layers."""
    from matplotlib.ticker import MaxNLocator

    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins="auto"))
    axis.set_xlabel("layer (0 = embedding)")


def save(figure: "Figure", path: str | Path) -> None:
    """A figure as a PNG."""
    with replacing(path) as part, styled():
        figure.savefig(part, dpi=DPI, format="png")
