"""The section of report.md on how rho changes with the layer number."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from pipeline.report.markdown import Cell, escaped, section, table, words
from pipeline.report.numbers import is_significant, p_value, signed
from pipeline.report.sentences import listed

RISING, FALLING, LEVEL = "rises significantly with depth", "falls significantly with depth", "has no significant trend"


def sections(correlations: pl.DataFrame, splits: Sequence[str], main: str) -> list[str]:
    """The slope of rho on the layer number of every curve, two columns a split; nothing without layers."""
    rows = correlations.filter(pl.col("selected"), pl.col("slope").is_not_null(), pl.col("split").is_in(splits))
    if rows.is_empty():
        return []
    slopes: dict[tuple, dict[str, dict[str, Any]]] = {}
    for row in rows.iter_rows(named=True):
        slopes.setdefault((row["name"], row["pooling"], row["similarity"]), {})[row["split"]] = row
    header = ["encoder", "pooling", "similarity"]
    for split in splits:
        header += [f"{escaped(split)}: rho per layer", "p"]
    cells: list[list[Cell]] = []
    for (name, pooling, similarity), of_split in slopes.items():
        cells.append([escaped(name), words(pooling), words(similarity)])
        for split in splits:
            slope = of_split.get(split)
            cells[-1] += [signed(slope, "slope"), p_value(slope["slope_p"])] if slope else ["", ""]
    answer = verdict(rows.filter(split=main), main)
    return section("Does rho rise or fall with depth?", answer, table(header, cells, text=("pooling", "similarity")))


def verdict(rows: pl.DataFrame, split: str) -> list[str]:
    """For which curves rho rises or falls significantly on a split, in a sentence."""
    found = clauses(rows)
    return [f"On {escaped(split)}, rho {found}."] if found else []


def clauses(rows: pl.DataFrame, seeds: Mapping[str, str] | None = None) -> str:
    """A clause for each trend and the curves that have it, to follow "rho"; nothing for none.

    Models that differ in their seed alone (`models.seeds`) are named together where they have the same trend.
    """
    names: dict[str, list[str]] = {RISING: [], FALLING: [], LEVEL: []}
    for row in rows.iter_rows(named=True):
        direction = RISING if row["slope"] > 0 else FALLING
        names[direction if is_significant(row["slope_p"]) else LEVEL].append(row["name"])
    return "; it ".join(
        f"{trend} for {listed(_together(found, seeds or {}))}" for trend, found in names.items() if found
    )


def _together(names: Sequence[str], seeds: Mapping[str, str]) -> list[str]:
    """Names in bold, and the common one of models where all its seeds are among them."""
    whole = {label for label in seeds.values() if all(name in names for name, of in seeds.items() if of == label)}
    called = [seeds[name] if seeds.get(name) in whole else name for name in names]
    return [f"**{escaped(name)}**" for name in dict.fromkeys(called)]
