"""What a curve, a row or a dot of the page is called, and how it looks: the same in every chart."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from pipeline.formats import vectors
from pipeline.formats.names import encoder_name
from pipeline.report.markdown import visible
from pipeline.report.pictures import BLUE, GREEN, ORANGE, PINK, RED, SKY

COLOURS = (BLUE, ORANGE, GREEN, PINK, RED, SKY)
"""Okabe and Ito's, in the order that tells the first few apart best"""
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3])
SHAPES = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross")
NEUTRAL = "#7a7a7a"
"""of encoders without layers: readable on white and on black"""


def name_of(row: Mapping[str, Any]) -> str:
    """A row of CORRELATIONS as the page calls it: its name, and its pooling where that is not the mean."""
    pooling = row["pooling"]
    own = pooling in (None, "mean", vectors.OWN)
    return visible(row["name"] if own else f"{row['name']}, {pooling.replace('_', ' ')}")


def group_of(row: Mapping[str, Any], seeds: Mapping[str, str]) -> str:
    """What a row is switched on and off with: itself, or all models that differ from it in their seed alone."""
    label = seeds.get(row["encoder"])
    if label is None:
        return name_of(row)
    return name_of({**row, "name": encoder_name(label, row["pooling"], row["correction"], row["similarity"])})


def with_names(table: pl.DataFrame, seeds: Mapping[str, str]) -> pl.DataFrame:
    """CORRELATIONS with the columns `series` and `group`."""
    keys = table.select("name", "encoder", "pooling", "correction", "similarity").rows(named=True)
    names, groups = [name_of(row) for row in keys], [group_of(row, seeds) for row in keys]
    return table.with_columns(pl.Series("series", names, pl.String), pl.Series("group", groups, pl.String))


def looks(table: pl.DataFrame) -> list[dict[str, Any]]:
    """`with_names` -> for each group its colour, dashes, shape and whether it has layers; those with layers first."""
    groups = table.group_by("group", maintain_order=True).agg(pl.col("layer").is_not_null().any().alias("layered"))
    layered = groups.filter("layered")["group"].to_list()
    found = []
    for number, group in enumerate(layered):
        found.append(
            {
                "group": group,
                "layered": True,
                "colour": COLOURS[number % len(COLOURS)],
                "dash": DASHES[number // len(COLOURS) % len(DASHES)],
                "shape": SHAPES[number % len(SHAPES)],
            }
        )
    look = {"layered": False, "colour": NEUTRAL, "dash": [3, 3], "shape": "square"}
    return found + [{"group": group} | look for group in groups.filter(~pl.col("layered"))["group"]]
