"""results/poolings.png: for each model, rho of some poolings by layer, and how all of them differ from the mean."""

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from pipeline.report.combinations import WITHOUT_LABELS
from pipeline.report.numbers import is_significant
from pipeline.report.pictures import (
    BLACK,
    BLUE,
    COLOURS,
    GREEN,
    GREY,
    MARKERS,
    ORANGE,
    PINK,
    RED,
    SKY,
    legend_above,
    plain,
    styled,
    values,
    whole_numbers,
)
from pipeline.report.rows import without_nan
from pipeline.report.verdicts import reference_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, LEAST_HEIGHT, HEIGHT_OF_ROW = 9.6, 2.9, 0.22
"""inches"""
LOOKS: dict[str, dict[str, Any]] = {
    "mean": {"color": BLACK, "linewidth": 3.2, "alpha": 0.75},
    "attention": {"color": RED, "marker": "o"},
    "diagonal": {"color": ORANGE, "linestyle": (0, (2, 2)), "zorder": 3},
    "idf_mean": {"color": BLUE, "marker": "s"},
    "sif": {"color": SKY, "marker": "^"},
    "last": {"color": GREEN, "marker": "D"},
    "max": {"color": PINK, "marker": "v"},
    "state": {"color": GREY, "linewidth": 3.2, "alpha": 0.75},
    "state_per_head": {"color": BLUE, "marker": "P", "linestyle": (0, (4, 1))},
}
"""how poolings look. Where learned ones kept the mean their lines coincide, and all of them can still be seen."""
RING = "mean's layer without labels"
COMMON = {"markersize": 3.5, "linewidth": 1.5}


def draw(table: pl.DataFrame, curves: pl.DataFrame, split: str | None) -> "Figure":
    """POOLINGS and CURVES (formats.tables) and the split to show -> a figure, two panels for each model."""
    from matplotlib.figure import Figure

    table, curves = without_nan(table).filter(split=split or ""), without_nan(curves).filter(split=split or "")
    models = table["encoder"].unique(maintain_order=True).to_list()
    compared = {model: differences(table.filter(encoder=model)) for model in models}
    heights = [max(LEAST_HEIGHT, HEIGHT_OF_ROW * len(rows) + 0.8) for rows in compared.values()] or [LEAST_HEIGHT]
    with styled():
        figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
        if not models:
            figure.text(0.5, 0.5, "There are no models to compare.", ha="center", va="center")
            return figure
        axes = figure.subplots(len(models), 2, squeeze=False, width_ratios=[1.15, 1], height_ratios=heights)
        for (left, right), model in zip(axes, models):
            of_model = curves.filter(pl.col("layer").is_not_null(), encoder=model)
            draw_curves(left, of_model)
            ring(left, of_model, table.filter(encoder=model, family=WITHOUT_LABELS))
            draw_differences(right, compared[model], reference_of(table.filter(encoder=model)))
            left.set_title(plain(f"{model}, {split}"))
        legend_above(figure, *axes[:, 0])
    return figure


def draw_curves(axis: "Axes", rows: pl.DataFrame) -> None:
    """rho of some poolings of one model by layer; learned ones with the range of their runs."""
    for name, look in looks_of(rows["pooling"].unique(maintain_order=True).to_list()).items():
        curve = rows.filter(pooling=name).sort("layer")
        layers = values(curve["layer"])
        axis.plot(layers, values(curve["spearman"]), **(COMMON | look), label=plain(name.replace("_", " ")))
        axis.fill_between(
            layers, values(curve["least"]), values(curve["most"]), color=look["color"], alpha=0.2, linewidth=0
        )
    axis.set_ylabel("Spearman's rho with the labels")
    whole_numbers(axis)


def ring(axis: "Axes", curves: pl.DataFrame, chosen: pl.DataFrame) -> None:
    """Around the point of the curve that LOES chooses without labels; nothing where it chose none."""
    if chosen.is_empty():
        return
    layer, pooling = chosen.select("layer", "pooling").row(0)
    points = curves.filter(layer=int(layer), pooling=pooling)
    look: dict[str, Any] = {"facecolors": "none", "edgecolors": BLACK, "linewidths": 1.3, "zorder": 4}
    axis.scatter(values(points["layer"]), values(points["spearman"]), s=90, **look, label=RING)


def looks_of(poolings: list[str]) -> dict[str, dict[str, Any]]:
    """The poolings to draw and their looks: those of LOOKS, or where there are none the first few."""
    known = {name: look for name, look in LOOKS.items() if name in poolings}
    others = zip(poolings, COLOURS, MARKERS)
    return known or {name: {"color": colour, "marker": marker} for name, colour, marker in others}


def differences(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of one model and split that compare a pooling with the reference, the largest difference last."""
    if rows.is_empty():
        return rows
    compared = rows.filter(pl.col("difference").is_not_null(), family="pooling", against=reference_of(rows))
    return compared.sort("difference")


def draw_differences(axis: "Axes", rows: pl.DataFrame, reference: str) -> None:
    """The difference of each pooling from the reference with its interval, red and filled where it is significant."""
    places = np.arange(len(rows))
    significant = [is_significant(p) for p in rows["p"]]
    colours = [RED if found else GREY for found in significant]
    difference, low, high = (values(rows[name]) for name in ("difference", "difference_low", "difference_high"))
    axis.axvline(0, color=BLACK, linewidth=0.7, zorder=1)
    axis.hlines(places, low, high, color=colours, linewidth=2)
    faces = [RED if found else "white" for found in significant]
    axis.scatter(difference, places, s=24, facecolors=faces, edgecolors=colours, linewidths=1.3, zorder=3)
    axis.set_yticks(places, [_label(row) for row in rows.iter_rows(named=True)])
    axis.set_ylim(-0.7, max(len(rows), 1) - 0.3)
    axis.set_xlabel(f"Spearman's rho, minus that of {plain(named(reference))}\n(red: p < .05 after Holm)")
    axis.grid(axis="y", visible=False)


def named(reference: str) -> str:
    """The reference in a label."""
    return "the mean" if reference == "mean" else reference.replace("_", " ")


def _label(row: dict[str, Any]) -> str:
    """A pooling and the layer that was selected for it: `attention, layer 3`, `pairs of layers, 0+2`."""
    name = row["pooling"].replace("_", " ")
    if not row["layer"]:
        return plain(name)
    return plain(f"{name}, {row['layer']}" if "+" in row["layer"] else f"{name}, layer {row['layer']}")
