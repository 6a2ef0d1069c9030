"""What a sweep chooses among.

A variant is a pooling, a correction and a similarity. Its options are its layers, or pairs of layers; a fixed mix of
layers has one. A learned pooling has several runs, which are reported together: an option has a row of scores for each.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from pipeline.base.errors import InputError
from pipeline.stats.folds import folds, ranks_within


class Variant(NamedTuple):
    """What is compared, by the names of params.yaml."""

    pooling: str
    correction: str
    similarity: str


REFERENCE = Variant("mean", "none", "cosine")
"""what all others are compared with"""


@dataclass(frozen=True)
class Option:
    """A layer of a variant, or what else it can be computed from."""

    variant: Variant
    name: str
    """a layer, two layers such as 0+2, or empty"""
    rows: list[int]
    """the rows of scores, one a run"""
    learned: bool
    """whether its runs have learned from the train pairs"""


def options_of(keys: pl.DataFrame) -> list[Option]:
    """The combinations of a sweep (`formats.sweeps.KEYS`) -> its options, those of a variant one behind the other.

    A layer at which some runs have no scores, for want of dimensions, is no option.
    """
    names = keys.select("listed", "correction", "similarity", pl.col("option").fill_null(""), "run")
    rows_of: dict[Variant, dict[str, list[int]]] = {}
    learned: dict[Variant, bool] = {}
    runs: dict[str, int] = {}
    for row, (pooling, correction, similarity, option, run) in enumerate(names.iter_rows()):
        variant = Variant(pooling, correction, similarity)
        rows = rows_of.setdefault(variant, {}).setdefault(option, [])
        rows.append(row)
        learned[variant] = run is not None
        runs[pooling] = max(runs.get(pooling, 0), len(rows))
    return [
        Option(variant, option, rows, learned[variant])
        for variant, options in rows_of.items()
        for option, rows in options.items()
        if len(rows) == runs[variant.pooling]
    ]


def reference_of(options: list[Option]) -> Variant:
    """REFERENCE, or what is listed first where the sweep has no such combination."""
    variants = [option.variant for option in options]
    return REFERENCE if REFERENCE in variants else variants[0]


def folds_of(pairs: pl.DataFrame, fit: Mapping[str, Any]) -> np.ndarray | None:
    """Pairs (C2) and the dictionary of fit.json -> the fold in which each train pair was held out (n,).

    In the order of pair_id. None where nothing was learned.
    """
    if "nothing" in fit:
        return None
    train = pairs.filter(pl.col("split") == "train").sort("pair_id")
    return folds(train["component"].to_numpy(), fit["settings"]["runs"], fit["settings"]["seed"])


def held_out_ranks(runs: np.ndarray, fold: np.ndarray | None) -> np.ndarray:
    """Train scores of R runs (R, n), and the fold that each run held out (n,) -> (n,).

    Each pair is scored by the run that did not learn from it, so that a layer is not chosen for being learned by heart.
    The score is its midrank within the fold / the fold's size, since runs differ in the height of their scores.
    InputError where the runs are not those of the fit.
    """
    fitted = 0 if fold is None else int(fold.max()) + 1
    if fold is None or fitted != len(runs):
        raise InputError(
            f"{len(runs)} runs were swept, but {fitted} fitted: run both stages again (dvc repro -f -s fit sweep)"
        )
    return ranks_within(runs[fold, np.arange(len(fold))], fold)
