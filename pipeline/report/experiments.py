"""The comparison of experiments as lines for a terminal."""

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Any

import polars as pl

from pipeline.report.numbers import fixed, is_significant, p_equals, signed

WIDTH = 100
"""of a terminal"""


def lines(table: pl.DataFrame, same: Sequence[str], pairs: int, chosen_on: str) -> Iterator[str]:
    """What a table of `analyse.experiments.compare` says; `same`: what has the same scores; of so many common pairs."""
    if table.is_empty():
        yield f"{pairs:,} pairs in common, and nothing to test: every score that is compared is the same."
        return
    split, n = table["split"][0], table["n"][0]
    yield f"rho on {split}, {n:,} pairs that all have; layers were chosen on {chosen_on}"
    for row in table.iter_rows(named=True):
        yield ""
        yield f"{_named(row, '')} against {_named(row, 'against_')}"
        verdict = "" if is_significant(row["p"]) else ", not significant"
        yield (
            f"    {signed(row, 'difference')}, {p_equals(row['p'])}{verdict}"
            f"    ({fixed(row['spearman'], 3)} and {fixed(row['against_spearman'], 3)})"
        )
    yield ""
    tests = "one test" if len(table) == 1 else f"{len(table)} tests, p corrected for all of them (Holm)"
    yield f"{tests}; both sides share the resamples"
    if split == chosen_on:
        yield f"WARNING: the layers were chosen on {split} too, so both figures are flattered"
    if same:
        yield from wrap(f"the same scores on both sides, so nothing to test: {', '.join(same)}", WIDTH)


def _named(row: dict[str, Any], side: str) -> str:
    encoder, layer = row[f"{side}encoder"], row[f"{side}layer"]
    experiment = row[side.removesuffix("_") or "experiment"]
    return f"{experiment}: {encoder}" + ("" if layer is None else f" (layer {layer})")
