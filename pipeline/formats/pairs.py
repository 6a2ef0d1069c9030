"""Contract C2: `pairs.parquet`, `sentences.parquet` and `info.json`, written by the stage prepare.

Sentences are distinct texts, and pairs point at them: nothing is encoded twice.
"""

from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from pipeline.base.files import replacing, write_json
from pipeline.formats import parquet
from pipeline.formats.arrays import to_numpy
from pipeline.formats.damage import damaged, foreign, read_json
from pipeline.formats.parquet import Column

STAGE = "prepare"
PAIRS = {
    "pair_id": Column(pa.int64(), "0, 1, ... in the row order of the source, over all splits"),
    "split": Column(pa.string(), "train, validation, test or what the source calls it"),
    "idx": Column(pa.int64(), "the source's own row number"),
    "sentence1_id": Column(pa.int64(), "a row of sentences.parquet"),
    "sentence2_id": Column(pa.int64(), "a row of sentences.parquet"),
    "label": Column(pa.float64(), "0 or 1, or a grade"),
    "component": Column(pa.int64(), "connected component by shared sentences: the unit of resampling and of folds"),
}
SENTENCES = {
    "sentence_id": Column(pa.int64(), "0, 1, ... in order of first appearance"),
    "text": Column(pa.string(), "the sentence, as it was given"),
}
ROWS = 1 << 16
"""of a row group, at most"""
INFO: dict[str, tuple[type | tuple[type, ...], str]] = {
    "dataset": (str, "its name in catalog.yaml"),
    "source": ((dict, type(None)), "hub, revision and commit of its repository; null where it is not of the hub"),
    "control": ((dict, type(None)), "permute_labels or pair_at_random -> its seed; null for the pairs as they are"),
    "graded": (bool, "whether labels are grades rather than 0 and 1"),
    "splits": (dict, "pairs of each split"),
    "shared": (dict, "pairs of each split in components that reach into another split"),
    "subsets": (dict, "name -> [split, n]: the first n pairs of a split"),
    "sentences": (int, "distinct sentences"),
    "components": (int, "components of pairs that share sentences"),
}


def write(folder: str | Path, pairs: pl.DataFrame, sentences: pl.DataFrame, info: dict[str, Any]) -> None:
    """Pairs, sentences and what there is to say of them -> three files in a folder."""
    for name, table, columns in (("pairs", pairs, PAIRS), ("sentences", sentences, SENTENCES)):
        schema = parquet.schema_of(columns)
        with replacing(Path(folder) / f"{name}.parquet") as part, parquet.writer(part, schema) as sink:
            for rows in table.iter_slices(ROWS):
                sink.write_table(rows.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(schema))
    write_json(Path(folder) / "info.json", info)


def read_pairs(path: str | Path) -> pl.DataFrame:
    """The pairs, in the order of pair_id."""
    table = pl.DataFrame(parquet.read(path, parquet.schema_of(PAIRS), STAGE)).sort("pair_id")
    if not np.array_equal(table["pair_id"].to_numpy(), np.arange(len(table))):
        raise damaged(path, f"has {len(table)} pair ids that are not 0 to {len(table) - 1}, each once", STAGE)
    if table.null_count().sum_horizontal()[0]:
        raise damaged(path, "has empty cells", STAGE)
    ids = table.select("sentence1_id", "sentence2_id", "component").to_numpy()
    if ids.min() < 0 or not table["label"].is_finite().all():
        raise damaged(path, "has a negative id, or a label that is not finite", STAGE)
    return table


def read_sentences(path: str | Path, pairs: pl.DataFrame | None = None) -> pl.DataFrame:
    """The sentences, in the order of sentence_id; with `pairs`, as many as they need."""
    table = pl.DataFrame(parquet.read(path, parquet.schema_of(SENTENCES), STAGE))
    if not table["sentence_id"].is_sorted():  # sorting copies the texts
        table = table.sort("sentence_id")
    if not np.array_equal(table["sentence_id"].to_numpy(), np.arange(len(table))) or table["text"].null_count():
        raise damaged(path, f"has {len(table)} sentence ids that are not 0 to {len(table) - 1}, each once", STAGE)
    if pairs is not None and len(table) != (needed := sentence_count(pairs)):
        raise foreign(path, f"holds {len(table)} sentences, but the pairs have {needed}", STAGE)
    return table


class Texts(Sequence[str]):
    """The texts of a file of sentences, by sentence_id: those of one row group are in memory, and no others.

    Raises InputError for a file that is damaged, or whose sentences are not in order; of texts, when they are read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path, self.file = path, parquet.open_file(path, STAGE)
        parquet.check_schema(self.file, parquet.schema_of(SENTENCES), path, STAGE)
        self.first, self.held = [0], (-1, pa.chunked_array([], pa.string()))
        for group in range(self.file.num_row_groups):
            ids = to_numpy(parquet.read_columns(self.file, path, STAGE, ["sentence_id"], group)["sentence_id"])
            if not np.array_equal(ids, self.first[-1] + np.arange(len(ids))):
                raise damaged(path, "has sentence ids that are not 0, 1, ... in order", STAGE)
            self.first.append(self.first[-1] + len(ids))
        if not len(self):
            raise damaged(path, "has no rows", STAGE)

    def __reduce__(self) -> tuple:
        return Texts, (self.path,)

    def __len__(self) -> int:
        return self.first[-1]

    def __getitem__(self, sentence: int) -> str:  # type: ignore[override]  # no slices
        sentence = range(len(self))[sentence]  # which raises IndexError, as a list does
        group = bisect_right(self.first, sentence) - 1
        if group != self.held[0]:
            texts = parquet.read_columns(self.file, self.path, STAGE, ["text"], group)["text"]
            if texts.null_count:
                raise damaged(self.path, "has a sentence without text", STAGE)
            self.held = group, texts
        return self.held[1][sentence - self.first[group]].as_py()


def read_info(path: str | Path) -> dict[str, Any]:
    """What there is to say of the pairs: the keys of INFO."""
    return read_json(path, {key: kind for key, (kind, _) in INFO.items()}, STAGE)


def sentence_count(pairs: pl.DataFrame) -> int:
    """How many distinct sentences the pairs point at."""
    return 1 + int(pairs.select("sentence1_id", "sentence2_id").to_numpy().max())
