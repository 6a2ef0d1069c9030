"""Sections of poolings.md with every compared combination of one model on one split, a table for each family."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from pipeline.report import numbers
from pipeline.report.markdown import Cell, escaped, section, table, words
from pipeline.report.numbers import p_value, signed, significant, with_interval

FAMILIES = {
    "pooling": ("Poolings", "pooling"),
    "correction": ("Corrections", "correction"),
    "similarity": ("Similarities", "similarity"),
}
"""family of POOLINGS -> heading of its table, and what its rows differ in"""
TEXT = ("layer", "compared with")


def sections(rows: pl.DataFrame) -> list[str]:
    """Tables of one model's rows of POOLINGS on one split."""
    caution = numbers.few_components(rows["effective_components"][0])
    lines = [caution, ""] if caution else []
    where = ", ".join(escaped(rows[column][0]) for column in ("encoder", "split"))
    for family in rows["family"].unique(maintain_order=True):
        heading, first = FAMILIES.get(family, (family.capitalize(), "combination"))
        header = [first, "layer", "rho", "SD over runs", "compared with", "difference", "nested selection", "p"]
        header.append("minimum detectable difference")
        cells = [_cells(row) for row in rows.filter(family=family).iter_rows(named=True)]
        lines += section(f"{escaped(heading)} ({where})", table(header, cells, text=TEXT), level=3)
    return lines


def _cells(row: Mapping[str, Any]) -> list[Cell]:
    rho = {"rho": row["spearman"], "rho_low": row["low"], "rho_high": row["high"]}
    name = words(row[FAMILIES[row["family"]][1]]) if row["family"] in FAMILIES else combination(row)
    cells: list[Cell] = [name, escaped(row["layer"] or ""), with_interval(rho, "rho"), significant(row["spread"])]
    if row["against"] is None:
        return [*cells, "", "", "", "", ""]
    nested = numbers.interval(row["choice_difference_low"], row["choice_difference_high"], sign="+")
    against = words(row["against"])
    return [*cells, against, signed(row, "difference"), nested, p_value(row["p"]), significant(row["detectable"])]


def combination(row: Mapping[str, Any]) -> str:
    """Pooling, correction if there is one, and similarity: `idf mean, centre, cosine`."""
    corrections = [] if row["correction"] == "none" else [row["correction"]]
    return ", ".join(map(words, [row["pooling"], *corrections, row["similarity"]]))
