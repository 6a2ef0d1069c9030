"""Token ids of one model: `data/tokens/MODEL.parquet`, written by the stage tokenize."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.base.files import replacing
from pipeline.formats import parquet
from pipeline.formats.arrays import to_arrow, to_numpy
from pipeline.formats.damage import damaged
from pipeline.formats.parquet import Column

COLUMNS = {
    "sentence_id": Column(pa.int64(), "a row of sentences.parquet"),
    "ids": Column(pa.list_(pa.int32()), "token ids, with a BOS where the entry asks for one"),
    "pieces": Column(pa.list_(pa.string()), "the text of each token, for people to read"),
    "truncated": Column(pa.bool_(), "whether the sentence was cut at tokenize.max_tokens"),
}
SENTENCES = 1 << 14
"""of a row group"""


@dataclass(frozen=True)
class Tokens:
    """Token ids of S sentences."""

    model: str
    """name in catalog.yaml"""
    sentence_ids: np.ndarray
    """(S,) int64"""
    ids: list[np.ndarray]
    """S arrays of int32"""
    pieces: dict[int, str] | None
    """token id -> its text; None where it was not read"""
    truncated: np.ndarray
    """(S,) bool"""
    fingerprint: dict[str, Any]
    """what determines the ids: tokenizer and BOS, part of the key of a dump (contract C6)"""
    source: dict[str, str] | None = None
    """the tokenizer's hub, revision and commit; None for one that is not of the hub. It is no part of the key."""


def write(path: str | Path, tokens: Tokens) -> None:
    """Tokens as Parquet; model, fingerprint and source are facts in its footer."""
    schema = parquet.schema_of(COLUMNS)
    facts = {"encoder": tokens.model, "fingerprint": tokens.fingerprint, "source": tokens.source}
    assert tokens.pieces is not None
    known = np.array(sorted(tokens.pieces))
    texts = pa.array([tokens.pieces[token] for token in known.tolist()], pa.string())
    with replacing(path) as part, parquet.writer(part, schema, facts) as sink:
        for start in range(0, len(tokens.ids), SENTENCES):
            some = slice(start, start + SENTENCES)
            values = np.concatenate(tokens.ids[some])
            offsets = to_arrow(np.cumsum([0, *map(len, tokens.ids[some])], dtype=np.int32))
            lists = [to_arrow(values), texts.take(to_arrow(np.searchsorted(known, values)))]
            ids, pieces = (pa.ListArray.from_arrays(offsets, of_tokens) for of_tokens in lists)
            columns = [to_arrow(tokens.sentence_ids[some]), ids, pieces, pa.array(tokens.truncated[some], pa.bool_())]
            sink.write_table(pa.table(columns, schema=schema))


def read(path: str | Path, model: str, pieces: bool = False) -> Tokens:
    """The tokens of a model; their pieces only where they are asked for."""
    stage = f"tokenize@{model}"
    file = parquet.open_file(path, stage)
    parquet.check_schema(file, parquet.schema_of(COLUMNS), path, stage)
    facts = parquet.facts_of(file, path, stage, model)
    table = parquet.read_columns(file, path, stage, [name for name in COLUMNS if name != "pieces"])
    sentence_ids, ids = to_numpy(table["sentence_id"]), table["ids"].combine_chunks()
    if not len(table) or not np.array_equal(np.sort(sentence_ids), np.arange(len(table))):
        raise damaged(path, f"has {len(table)} sentence ids that are not 0 to {len(table) - 1}, each once", stage)
    if (np.diff(to_numpy(ids.offsets)) == 0).any():
        raise damaged(path, "has a sentence without tokens", stage)
    texts = _pieces(file, path, stage) if pieces else None
    split_ids = np.split(to_numpy(ids.values), to_numpy(ids.offsets)[1:-1])
    truncated = to_numpy(table["truncated"].cast(pa.uint8())).astype(bool)  # Arrow keeps them as bits
    return Tokens(model, sentence_ids, split_ids, texts, truncated, facts["fingerprint"], facts.get("source"))


def _pieces(file: pq.ParquetFile, path: str | Path, stage: str) -> dict[int, str]:
    """The text of each token id, a row group at a time: one string for each id, not one for each token."""
    found: dict[int, str] = {}
    for group in range(file.num_row_groups):
        table = parquet.read_columns(file, path, stage, ["ids", "pieces"], group)
        ids, texts = (table[name].combine_chunks() for name in ("ids", "pieces"))
        if not ids.offsets.equals(texts.offsets):
            raise damaged(path, "has another number of pieces than of ids in a sentence", stage)
        distinct, first = np.unique(to_numpy(ids.values), return_index=True)
        found |= zip(distinct.tolist(), texts.values.take(to_arrow(first)).to_pylist())
    return found
