"""Probes of one model or baseline, with a score for every pair: `data/probes/MODEL.parquet` and
`data/probed-baselines/NAME.parquet`.

A row is a fit. Where nothing could be fitted there are no rows, and the footer says why.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from pipeline.formats import parquet
from pipeline.formats.damage import damaged, foreign
from pipeline.formats.parquet import Column

COLUMNS = {
    "probe": Column(pa.string(), "difference_product, bilinear, or measures for those of word overlap"),
    "layer": Column(pa.int32(), "null for an encoder without layers, and for a mix of several"),
    "features": Column(pa.int64(), "numbers that the probe sees of a pair"),
    "strength": Column(pa.float64(), "C, chosen on inner folds of the train components"),
    "held_out": Column(pa.float64(), "accuracy, or rho of grades, on train pairs of held-out folds; null for controls"),
    "train": Column(pa.float64(), "accuracy or rho on the train pairs, with the labels that it was fitted to"),
    "permuted": Column(pa.bool_(), "whether it is the control, fitted to permuted train labels with the same C"),
    "scores": Column(
        pa.list_(pa.float64()), "of every pair in the order of pair_id: log-odds of label 1, or the predicted grade"
    ),
}
KEYS = [name for name in COLUMNS if name != "scores"]


@dataclass(frozen=True)
class Probes:
    """The K fits of an encoder."""

    encoder: str
    keys: pl.DataFrame
    """(K rows) KEYS; each control follows its probe"""
    scores: np.ndarray
    """(K, P) in the order of pair_id"""
    left_out: str | None
    """why there are none"""


def write(path: str | Path, encoder: str, rows: Sequence[Mapping[str, Any]], left_out: str | None) -> None:
    """The fits of an encoder, or why there are none."""
    columns = {name: pa.array([row[name] for row in rows], column.type) for name, column in COLUMNS.items()}
    parquet.write(path, pa.table(columns), {"encoder": encoder, "left_out": left_out}, compression="zstd")


def read(path: str | Path, encoder: str, pairs: int, stage: str) -> Probes:
    """The fits of an encoder over so many pairs, written by `stage`. InputError where they are damaged or foreign."""
    file = parquet.open_file(path, stage)
    parquet.check_schema(file, parquet.schema_of(COLUMNS), path, stage)
    facts = parquet.facts_of(file, path, stage, encoder)
    table = parquet.read_columns(file, path, stage)
    lengths = table["scores"].combine_chunks().value_lengths().to_pylist()
    if differing := [length for length in lengths if length != pairs]:
        raise foreign(path, f"holds {differing[0]} scores of a probe, but there are {pairs} pairs", stage)
    scores = table["scores"].combine_chunks().flatten().to_numpy().reshape(-1, pairs)
    keys = pl.DataFrame(table.select(KEYS))
    if not np.isfinite(scores).all():
        raise damaged(path, "has a score that is NaN or infinite", stage)
    if keys["permuted"].to_list() != [False, True] * (len(keys) // 2):
        raise damaged(path, "has a probe without its control", stage)
    return Probes(encoder, keys, scores, facts["left_out"])
