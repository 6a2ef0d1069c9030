"""Sections of poolings.md with every compared combination of one model on one split, a table for each family."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from pipeline.report import numbers
from pipeline.report.markdown import Cell, escaped, section, table, words
from pipeline.report.numbers import (
    is_defined,
    is_significant,
    p_equals,
    p_value,
    signed,
    significant,
    with_interval,
)

FAMILIES = {
    "pooling": ("Poolings", "pooling"),
    "correction": ("Corrections", "correction"),
    "similarity": ("Similarities", "similarity"),
}
"""family of POOLINGS -> heading of its table, and what its rows differ in"""
WITHOUT_LABELS = "layer without labels"
"""the family of the layer that LOES chooses, which has a paragraph instead of a table"""
TEXT = ("layer", "compared with")


def sections(rows: pl.DataFrame) -> list[str]:
    """Tables of one model's rows of POOLINGS on one split."""
    caution = numbers.few_components(rows["effective_components"][0])
    lines = [caution, ""] if caution else []
    where = ", ".join(escaped(rows[column][0]) for column in ("encoder", "split"))
    for family in rows.filter(pl.col("family") != WITHOUT_LABELS)["family"].unique(maintain_order=True):
        heading, first = FAMILIES.get(family, (family.capitalize(), "combination"))
        header = [first, "layer", "rho", "SD over runs", "compared with", "difference", "nested selection", "p"]
        header.append("minimum detectable difference")
        cells = [_cells(row) for row in rows.filter(family=family).iter_rows(named=True)]
        lines += section(f"{escaped(heading)} ({where})", table(header, cells, text=TEXT), level=3)
    return lines


def without_labels(rows: pl.DataFrame) -> list[str]:
    """What is lost where train labels do not choose the layer, from one model's rows of POOLINGS on one split."""
    found = rows.filter(family=WITHOUT_LABELS).rows(named=True)
    if not found:
        return []
    row, by_labels = found[0], rows.filter(pl.col("against").is_null(), family="pooling").row(0, named=True)
    chooses = f"**Without labels.** By the geometry of train sentences alone, LOES chooses layer {row['layer']}"
    if row["layer"] == by_labels["layer"]:
        return [f"{chooses}, as train labels do.", ""]
    rho = with_interval({"rho": row["spearman"], "rho_low": row["low"], "rho_high": row["high"]}, "rho")
    if not is_defined(row["difference"]):
        return [f"{chooses}, with a rho of {rho}. Train labels choose layer {by_labels['layer']}.", ""]
    nested = numbers.interval(row["choice_difference_low"], row["choice_difference_high"], sign="+")
    differs = "differs significantly from" if is_significant(row["p"]) else "does not differ significantly from"
    with_nested = f"; with nested selection {nested}" if nested else ""
    return [
        f"{chooses}, with a rho of {rho}. It {differs} layer {by_labels['layer']}, which train labels choose: "
        f"{signed(row, 'difference')}, {p_equals(row['p'])}{with_nested}.",
        "",
    ]


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
