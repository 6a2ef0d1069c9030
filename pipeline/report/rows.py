"""Which rows of a table a page shows."""

from collections.abc import Mapping, Sequence

import polars as pl

from pipeline.formats import splits

Subsets = Mapping[str, Sequence]
"""name -> (split, n): the first n pairs of a split"""


def without_nan(table: pl.DataFrame) -> pl.DataFrame:
    """A table in which everything undefined is null, so that it sorts last and is never plotted or printed."""
    return table.with_columns(pl.selectors.float().fill_nan(None))


def selected(table: pl.DataFrame, split: str) -> pl.DataFrame:
    """The rows of CORRELATIONS of one split: each encoder at its selected layer."""
    return table.filter(pl.col("selected"), split=split)


def reported_splits(table: pl.DataFrame, subsets: Subsets) -> list[str]:
    """The splits and subsets of CORRELATIONS, without the split that layers were chosen on if there is another."""
    names = table["split"].unique(maintain_order=True).to_list()
    others = [name for name in names if name != splits.chosen_on(table["split"])]
    return others if set(others) - set(subsets) else names
