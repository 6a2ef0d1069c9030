"""results/geometry.png: every measure of a layer's geometry over depth; results/geometry-layers.png: of two layers."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from pipeline.report.layers_picture import MOST_EDGES
from pipeline.report.pictures import COLOURS, DASHES, MARKERS, legend_above, plain, styled, values

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS, WIDTH, HEIGHT = 5, 2.15, 1.55
"""panels side by side; inches of a panel"""
SIDE = 2.6
"""inches of a panel of all pairs of layers"""
MOST_MODELS = 6
"""in the picture of pairs of layers"""
HEADS = {"Vectors of sentences": ("sentences", "layers"), "States of tokens": ("tokens",)}
"""the groups of panels, and the levels of their measures"""
OF_TWO = {"cka": ("CKA", "viridis"), "displacement": ("displacement", "magma_r")}
Panel = tuple[str, str, pl.DataFrame]
"""title, unit and rows"""


def draw(curves: pl.DataFrame, facts: Mapping[str, Any], split: str) -> "Figure":
    """The rows of JOINED that are curves, and FACTS (formats.geometry) -> small multiples, rho first."""
    from matplotlib.figure import Figure

    rho = curves.unique(["encoder", "layer"], maintain_order=True)
    few = curves["encoder"].n_unique() <= MOST_EDGES  # the intervals of more would hide each other
    bounds = {end: pl.when(few).then(f"rho_{end}") for end in ("low", "high")}
    rho = rho.with_columns(value="rho", maximum=pl.lit(None, pl.Float64), **bounds)
    groups = {head: panels_of(curves, facts, levels) for head, levels in HEADS.items()}
    first = next(iter(groups))
    groups[first] = [(f"rho on {split}", "", rho), *groups[first]]
    groups = {head: panels for head, panels in groups.items() if panels}
    lines = [math.ceil(len(panels) / COLUMNS) for panels in groups.values()]
    with styled():
        figure = Figure(figsize=(COLUMNS * WIDTH, sum(lines) * HEIGHT + 0.3 * len(lines)), layout="constrained")
        parts = figure.subfigures(len(lines), 1, squeeze=False, height_ratios=[count + 0.2 for count in lines])
        for part, (head, panels), count in zip(parts[:, 0], groups.items(), lines):
            part.suptitle(head, x=0.008, ha="left", fontsize=9.5, fontweight="bold")
            axes = part.subplots(count, COLUMNS, squeeze=False)
            draw_group(axes, panels, curves)
        legend_above(figure, figure.axes[0])
    return figure


def panels_of(curves: pl.DataFrame, facts: Mapping[str, Any], levels: tuple[str, ...]) -> list[Panel]:
    """A panel for each measure of some levels that was measured."""
    measured = [(name, one) for name, one in facts["measures"].items() if one["level"] in levels]
    panels = [(one["title"], one["unit"], curves.filter(measure=name)) for name, one in measured]
    return [panel for panel in panels if len(panel[2])]


def draw_group(axes: np.ndarray, panels: list[Panel], curves: pl.DataFrame) -> None:
    """Panels of one group; those that are not used disappear."""
    from matplotlib.ticker import MaxNLocator

    models = curves["encoder"].unique(maintain_order=True).to_list()
    first, last = values(curves["layer"]).min(), values(curves["layer"]).max()
    for number, axis in enumerate(axes.flat):
        axis.set_visible(number < len(panels))
        axis.tick_params(labelsize=6.5, length=2)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        axis.yaxis.set_major_locator(MaxNLocator(nbins=4))
        axis.set_xlim(first - 0.04 * (last - first + 1), last + 0.04 * (last - first + 1))
        if len(panels) - axes.shape[1] <= number < len(panels):
            axis.set_xlabel("layer (0 = embedding)", fontsize=7)
    for axis, (title, unit, rows) in zip(axes.flat, panels):
        draw_panel(axis, rows, models)
        axis.set_title(plain(title), fontsize=8, fontweight="bold" if title.startswith("rho ") else "normal")
        axis.set_ylabel(unit, fontsize=7)


def draw_panel(axis: "Axes", rows: pl.DataFrame, models: list[str]) -> None:
    """A line with its band for each model, and a dotted one for the most that is possible."""
    for model, curve in ((model, rows.filter(encoder=model).sort("layer")) for model in models):
        number = models.index(model)
        colour, dashes = COLOURS[number % len(COLOURS)], DASHES[number // len(COLOURS) % len(DASHES)]
        layers, marker = values(curve["layer"]), MARKERS[number % len(MARKERS)]
        axis.fill_between(layers, values(curve["low"]), values(curve["high"]), color=colour, alpha=0.2, linewidth=0)
        axis.plot(layers, values(curve["maximum"]), color=colour, linestyle=":", linewidth=0.9)
        look: dict[str, Any] = {
            "color": colour,
            "linestyle": dashes,
            "marker": marker,
            "markersize": 2.2,
            "linewidth": 1.1,
        }
        axis.plot(layers, values(curve["value"]), **look, label=plain(model))


def draw_layers(joined: pl.DataFrame) -> "Figure":
    """JOINED -> for each model a square of all pairs of layers, of CKA and of subspace displacement."""
    from matplotlib.figure import Figure

    joined = joined.filter(pl.col("other").is_not_null())
    models = joined["encoder"].unique(maintain_order=True).to_list()[:MOST_MODELS]
    with styled():
        figure = Figure(figsize=(2 * SIDE + 1.2, SIDE * max(len(models), 1)), layout="constrained")
        if not models:
            figure.text(0.5, 0.5, "There are no vectors of single layers to compare.", ha="center", va="center")
            return figure
        axes = figure.subplots(len(models), len(OF_TWO), squeeze=False)
        for row, model in zip(axes, models):
            for axis, (name, (title, colours)) in zip(row, OF_TWO.items()):
                square, layers = square_of(
                    joined.filter(encoder=model, measure=name), own=1.0 if name == "cka" else 0.0
                )
                image = axis.pcolormesh(layers, layers, square, cmap=colours, vmin=0, vmax=1)
                axis.set_aspect("equal")
                axis.grid(visible=False)
                axis.set_title(plain(f"{model}: {title}"), fontsize=8.5, fontweight="normal")
                axis.set_xlabel("layer")
                axis.set_ylabel("layer")
                figure.colorbar(image, ax=axis, shrink=0.8)
    return figure


def square_of(rows: pl.DataFrame, own: float) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of one model and measure -> (L, L) with `own` on the diagonal, and the layers (L,)."""
    layers = np.unique(np.concatenate([rows["layer"].to_numpy(), rows["other"].to_numpy()]))
    at, other = (np.searchsorted(layers, rows[name].to_numpy()) for name in ("layer", "other"))
    square = np.full((len(layers), len(layers)), own)
    square[at, other] = square[other, at] = values(rows["value"])
    return square, layers
