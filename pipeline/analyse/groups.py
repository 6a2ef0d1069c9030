"""The splits and subsets of the pairs, as arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.formats import splits


@dataclass(frozen=True)
class Group:
    """The n pairs of a split, or of a named subset of one."""

    name: str
    """of the split or subset"""
    rows: np.ndarray
    """(n,) their numbers in the order of pair_id"""
    labels: np.ndarray
    """(n,)"""
    component: np.ndarray
    """(n,) what is resampled"""


def groups_of(pairs: pl.DataFrame, subsets: Mapping[str, Sequence]) -> dict[str, Group]:
    """Pairs (C2) and {subset: (split, n)} -> {name: group}, the splits in the order of the data, then the subsets."""
    pairs = pairs.sort("pair_id")
    labels, component = pairs["label"].to_numpy(), pairs["component"].to_numpy()
    rows_of = splits.groups(pairs, subsets)
    return {name: Group(name, rows, labels[rows], component[rows]) for name, rows in rows_of.items()}
