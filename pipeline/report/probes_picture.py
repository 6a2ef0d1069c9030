"""results/probes.png: for each model, probes by layer with their controls, and their rho beside the zero-shot one."""

from typing import TYPE_CHECKING, Any

import polars as pl

from pipeline.report.pictures import BLACK, COLOURS, GREY, MARKERS, legend_above, plain, styled, values, whole_numbers
from pipeline.report.rows import without_nan

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 9.6, 2.9
"""inches; the height of each model"""
FLOOR = "measures"
COMMON = {"markersize": 3.5, "linewidth": 1.5}
LABELS = {"accuracy": "accuracy", "spearman": "Spearman's rho with the labels"}


def draw(rows: pl.DataFrame, split: str | None) -> "Figure":
    """PROBES (formats.tables) and the split to show -> a figure, two panels for each model."""
    from matplotlib.figure import Figure

    rows = without_nan(rows).filter(split=split or "")
    floor = rows.filter(probe=FLOOR)
    layered = rows.filter(pl.col("layer").is_not_null())
    models = layered["encoder"].unique(maintain_order=True).to_list()
    with styled():
        figure = Figure(figsize=(WIDTH, HEIGHT * max(len(models), 1)), layout="constrained")
        if not models:
            figure.text(0.5, 0.5, "There are no models with probes.", ha="center", va="center")
            return figure
        axes = figure.subplots(len(models), 2, squeeze=False)
        for (left, right), model in zip(axes, models):
            of_model = layered.filter(encoder=model)
            draw_metric(left, of_model, floor)
            draw_rho(right, of_model, floor)
            left.set_title(plain(f"{model}, {split}"))
        legend_above(figure, *axes.flat)
    return figure


def draw_metric(axis: "Axes", rows: pl.DataFrame, floor: pl.DataFrame) -> None:
    """Accuracy, or rho of grades, by layer with intervals, controls, the most frequent label and word overlap."""
    metric = rows["metric"][0]
    for name, look in looks_of(rows).items():
        curve = rows.filter(probe=name).sort("layer")
        layers, found = values(curve["layer"]), values(curve[metric])
        axis.plot(layers, found, **look, label=plain(name.replace("_", " ")))
        low, high = values(curve[f"{metric}_low"]), values(curve[f"{metric}_high"])
        axis.fill_between(layers, low, high, color=look["color"], alpha=0.12, linewidth=0)
        axis.plot(layers, values(curve["control"]), color=look["color"], linestyle="--", linewidth=1)
    if (usual := rows["majority"][0]) is not None:
        axis.axhline(usual, color=GREY, linestyle=":", label="most frequent label")
    draw_floor(axis, floor, metric)
    axis.set_ylabel(LABELS[metric])
    whole_numbers(axis)


def draw_rho(axis: "Axes", rows: pl.DataFrame, floor: pl.DataFrame) -> None:
    """rho of probes and of the zero-shot score by layer."""
    for name, look in looks_of(rows).items():
        curve = rows.filter(probe=name).sort("layer")
        axis.plot(values(curve["layer"]), values(curve["spearman"]), **look)
    curve = rows.unique("layer", keep="first").sort("layer")
    zero_shot = values(curve["zero_shot_spearman"])
    axis.plot(values(curve["layer"]), zero_shot, color=BLACK, marker=".", linewidth=2, label="zero-shot")
    draw_floor(axis, floor, "spearman")
    axis.set_ylabel(LABELS["spearman"])
    whole_numbers(axis)


def draw_floor(axis: "Axes", floor: pl.DataFrame, metric: str) -> None:
    """Word overlap's probe as a line across."""
    if len(floor) and floor[metric][0] is not None:
        axis.axhline(floor[metric][0], color=BLACK, linestyle="-.", linewidth=1, label="word overlap")


def looks_of(rows: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """The probes of a model and their looks."""
    names = rows["probe"].unique(maintain_order=True).to_list()
    return {name: COMMON | {"color": colour, "marker": marker} for name, colour, marker in zip(names, COLOURS, MARKERS)}
