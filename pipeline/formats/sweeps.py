"""The scores of every pooling, correction, similarity and layer of one model: `data/sweeps/MODEL/scores.parquet`.

The columns of C5, and three that say what a combination is an option of; in the footer, what was left out, and the
layers in the order that LOES chooses without labels. Row groups hold whole combinations, a
combination's pairs one behind the other in the order of pair_id.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.formats import parquet, scores
from pipeline.formats.damage import damaged, foreign
from pipeline.formats.parquet import Column

COLUMNS = scores.COLUMNS | {
    "listed": Column(pa.string(), "the pooling as params.yaml lists it: attention for attention_3"),
    "run": Column(pa.int32(), "which run of a learned pooling; null for one that is not learned"),
    "option": Column(pa.string(), "what is chosen on train: a layer, two layers such as 0+2, or nothing"),
}
KEYS = [*scores.KEYS, "listed", "run", "option"]
ROWS = 1 << 20
"""rows of a row group, at most, of whole combinations"""


@dataclass(frozen=True)
class Swept:
    """What a sweep found."""

    keys: pl.DataFrame
    """(K rows) encoder, pooling, correction, layer, similarity, listed, run, option"""
    scores: np.ndarray
    """(K, P) in the order of pair_id"""
    left_out: dict[str, str]
    """pooling, or pooling with a correction, that could not be computed -> why"""
    loes: list[tuple[int, float]] = field(default_factory=list)
    """layers of the mean in the order that LOES chooses without labels, the best first, and their scores"""


class Writer:
    """Writes combinations as they are scored; facts that are known at the end are in the footer."""

    def __init__(self, part: Path, encoder: str, pairs: int) -> None:
        self.encoder, self.rows = encoder, pairs * max(1, ROWS // pairs)
        self.sink = parquet.writer(part, parquet.schema_of(COLUMNS), compression="zstd")

    def write(self, table: pl.DataFrame) -> None:
        """Rows of whole combinations."""
        self.sink.write_table(scores.to_arrow(table, COLUMNS), row_group_size=self.rows)

    def close(self, left_out: dict[str, str], loes: Sequence[tuple[int, float]] = ()) -> None:
        """Finish the file with what was left out and the order of layers (`Swept`)."""
        facts = {"encoder": self.encoder, "left_out": left_out, "loes": list(loes)}
        self.sink.add_key_value_metadata(parquet.metadata_of(parquet.schema_of(COLUMNS), facts))
        self.sink.close()


def read(path: str | Path, pairs: pl.DataFrame, model: str) -> Swept:
    """The sweep of a model over `pairs` (C2). InputError where it is damaged, of another model or of other pairs."""
    stage, count = f"sweep@{model}", len(pairs)
    file, facts = _opened(path, stage, model)
    keys, values = [], np.empty(file.metadata.num_rows)
    at = 0
    for table in _groups(file, path, pairs, stage):
        keys.append(table.select(KEYS).take(np.arange(0, len(table), count)).cast(_key_schema()))
        values[at : at + len(table)] = table["score"].to_numpy()
        at += len(table)
    combinations = pl.DataFrame(pa.concat_tables([_key_schema().empty_table(), *keys]))
    if combinations.is_duplicated().any():
        raise damaged(path, "has a combination twice", stage)
    return Swept(
        combinations, values.reshape(-1, count), facts["left_out"], [(layer, score) for layer, score in facts["loes"]]
    )


def read_some(path: str | Path, pairs: pl.DataFrame, model: str, wanted: pl.DataFrame) -> Swept:
    """The same of those combinations alone that agree with a row of `wanted` in its columns, some of KEYS.

    Not more than a row group and what is wanted are in memory at a time.
    """
    stage, count = f"sweep@{model}", len(pairs)
    file, facts = _opened(path, stage, model)
    keys, values = [pl.DataFrame(pa.Table.from_batches([], _key_schema()))], [np.empty((0, count))]
    for table in _groups(file, path, pairs, stage):
        found = pl.DataFrame(table.select(KEYS).take(np.arange(0, len(table), count)).cast(_key_schema()))
        kept = found.with_row_index("row").join(wanted, on=wanted.columns, how="semi", nulls_equal=True)
        keys.append(kept.drop("row"))
        values.append(table["score"].to_numpy().reshape(-1, count)[kept["row"].to_numpy()])
    return Swept(pl.concat(keys), np.concatenate(values), facts["left_out"])


def _opened(path: str | Path, stage: str, model: str) -> tuple[pq.ParquetFile, dict[str, Any]]:
    """The file of a sweep, and the facts in its footer."""
    file = parquet.open_file(path, stage)
    parquet.check_schema(file, parquet.schema_of(COLUMNS), path, stage)
    facts = parquet.facts_of(file, path, stage, model)
    texts = [name for name, column in COLUMNS.items() if column.type == pa.string()]
    return parquet.open_file(path, stage, repeated=texts), facts  # a text is read once, not once for each row


def _groups(file: pq.ParquetFile, path: str | Path, pairs: pl.DataFrame, stage: str) -> Iterator[pa.Table]:
    """The row groups of a sweep, each of whole combinations of `pairs` (C2) with finite scores."""
    pairs = pairs.sort("pair_id")
    for group in range(file.num_row_groups):
        table = parquet.read_columns(file, path, stage, group=group)
        check_pairs(table, pairs, path, stage)
        if not np.isfinite(table["score"].to_numpy()).all():
            raise damaged(path, "has a score that is NaN or infinite", stage)
        yield table


def check_pairs(table: pa.Table, pairs: pl.DataFrame, path: str | Path, stage: str) -> None:
    """Raise InputError where the rows of some combinations are not those of the pairs, one combination after the
    other.
    """
    count = len(pairs)
    if len(table) % count:
        raise foreign(path, f"does not hold whole combinations of {count} pairs", stage)
    for column in ("pair_id", "label"):
        if (table[column].to_numpy().reshape(-1, count) != pairs[column].to_numpy()).any():
            raise foreign(path, f"contradicts the pairs in their column {column}", stage)
    splits = table["split"].combine_chunks()
    names = {name: code for code, name in enumerate(splits.dictionary.to_pylist())}
    wanted = np.array([names.get(split, -1) for split in pairs["split"]])
    if (splits.indices.to_numpy().reshape(-1, count) != wanted).any():
        raise foreign(path, "contradicts the pairs in their column split", stage)


def _key_schema() -> pa.Schema:
    return parquet.schema_of({name: COLUMNS[name] for name in KEYS})
