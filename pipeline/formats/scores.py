"""Contract C5: one score for each pair, encoder, layer and similarity, `data/scores.parquet`, written by the stage
score.

One tidy table that every statistic and every paired test is computed from. A larger score means more alike. Its footer
hands on how the norms of each model's states are spread (`formats.norms`).
"""

import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from pipeline.base.files import replacing
from pipeline.formats import parquet
from pipeline.formats.damage import damaged, foreign
from pipeline.formats.norms import Norms
from pipeline.formats.parquet import Column

STAGE = "score"
COLUMNS = {
    "pair_id": Column(pa.int64(), "a row of pairs.parquet"),
    "split": Column(pa.string(), "of the pair"),
    "label": Column(pa.float64(), "of the pair"),
    "encoder": Column(pa.string(), "name of the model or baseline"),
    "pooling": Column(pa.string(), "how its vectors came about; null for an encoder without vectors"),
    "correction": Column(pa.string(), "what was done to its vectors; null for an encoder without vectors"),
    "layer": Column(pa.int32(), "null for an encoder without layers, and for a mix of several"),
    "similarity": Column(pa.string(), "of two vectors, or the measure of an encoder without vectors"),
    "score": Column(pa.float64(), "larger means more alike"),
}
KEYS = ["encoder", "pooling", "correction", "layer", "similarity"]
"""what tells the scores of C5 apart: a combination has one score for each pair"""
NUMBERS_HELD = 1 << 26
"""scores of all combinations that are held in memory, half a GB; more are mapped from a file"""
SCHEMA = dict(pl.from_arrow(pa.Table.from_batches([], parquet.schema_of(COLUMNS))).schema)  # type: ignore[union-attr]


@dataclass(frozen=True)
class Scores:
    """The scores of K combinations of encoder, pooling, correction, layer and similarity."""

    keys: pl.DataFrame
    """(K rows) KEYS, sorted"""
    values: np.ndarray
    """(K, P) in the order of pair_id"""
    norms: dict[str, Norms] = field(default_factory=dict)
    """model -> how the norms of its states are spread"""


def to_arrow(table: pl.DataFrame, columns: dict[str, Column] = COLUMNS) -> pa.Table:
    """A polars table of C5 with the types that are written."""
    return table.select(list(columns)).to_arrow(compat_level=pl.CompatLevel.oldest()).cast(parquet.schema_of(columns))


def write(path: str | Path, tables: Iterable[pl.DataFrame], norms: Mapping[str, Norms] | None = None) -> None:
    """Tables of C5 as row groups of one file, each written before the next is asked for."""
    facts = {"norms": {model: vars(of_model) for model, of_model in (norms or {}).items()}}
    with replacing(path) as part, parquet.writer(part, parquet.schema_of(COLUMNS), facts, compression="zstd") as sink:
        for table in tables:
            sink.write_table(to_arrow(table))


def read(path: str | Path, pairs: pl.DataFrame) -> Scores:
    """The scores of `pairs` (C2), a row group at a time: each combination of KEYS has each pair once, with its split
    and label.
    """
    file = parquet.open_file(path, STAGE)
    parquet.check_schema(file, parquet.schema_of(COLUMNS), path, STAGE)
    facts = parquet.facts_of(file, path, STAGE) or {}
    norms = {model: Norms(**of_model) for model, of_model in facts.get("norms", {}).items()}
    pairs, groups = pairs.sort("pair_id"), range(file.num_row_groups)
    if not file.metadata.num_rows:
        raise damaged(path, "has no rows", STAGE)
    every_key = [pl.DataFrame(parquet.read_columns(file, path, STAGE, KEYS, group)).unique() for group in groups]
    keys = pl.concat(every_key).unique().sort(KEYS, nulls_last=True)
    row_of = {key: row for row, key in enumerate(keys.iter_rows())}
    values = _unknown(len(keys), len(pairs))
    for group in groups:
        table = pl.DataFrame(parquet.read_columns(file, path, STAGE, group=group))
        _check(table, pairs, path)
        for key, rows in table.partition_by(KEYS, as_dict=True).items():
            values[row_of[key], rows["pair_id"].to_numpy()] = rows["score"].to_numpy()
    if file.metadata.num_rows != values.size or any(np.isnan(row).any() for row in values):
        raise damaged(
            path, f"does not have each of {len(pairs)} pairs once for each encoder, layer and similarity", STAGE
        )
    return Scores(keys, values, norms)


def _unknown(combinations: int, pairs: int) -> np.ndarray:
    """(K, P) NaN, in an unnamed file of the working folder where a process had better not hold all of it."""
    shape = (combinations, pairs)
    if combinations * pairs <= NUMBERS_HELD:
        return np.full(shape, np.nan)
    with tempfile.TemporaryFile(dir=".") as file:
        os.posix_fallocate(file.fileno(), 0, 8 * combinations * pairs)  # a full disk is an error now, no crash later
        values = np.memmap(file, np.float64, "r+", shape=shape)
    values[:] = np.nan
    return values


def _check(table: pl.DataFrame, pairs: pl.DataFrame, path: str | Path) -> None:
    """Raise InputError for rows that have no finite score, or are of other pairs."""
    if not table["score"].is_finite().all() or table["score"].null_count():
        raise damaged(path, "has a score that is NaN, infinite or missing", STAGE)
    of_pair = table["pair_id"].to_numpy()
    if of_pair.min() < 0 or of_pair.max() >= len(pairs):
        raise foreign(path, f"has a pair id {of_pair.max()}, but there are {len(pairs)} pairs", STAGE)
    for column in ("split", "label"):
        if not (table[column] == pairs[column].gather(of_pair)).all():
            raise foreign(path, f"contradicts the pairs in their column {column}", STAGE)
