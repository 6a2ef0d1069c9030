"""Token ids of one model: `data/tokens/MODEL.parquet`, written by the stage tokenize."""

from collections.abc import Sequence
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
from pipeline.formats.ragged import Ragged

COLUMNS = {
    "sentence_id": Column(pa.int64(), "a row of sentences.parquet"),
    "ids": Column(pa.list_(pa.int32()), "token ids, with BOS, special tokens and template where there are any"),
    "pieces": Column(pa.list_(pa.string()), "the text of each token, for people to read"),
    "truncated": Column(pa.bool_(), "whether the sentence was cut at tokenize.max_tokens"),
    "pooled_start": Column(pa.int32(), "the first token whose states are kept and pooled; 0 without a template"),
    "pooled_stop": Column(pa.int32(), "the one after the last; all tokens without a template"),
    "text_start": Column(pa.int32(), "the first token of the sentence itself, in the last copy of it"),
    "text_stop": Column(pa.int32(), "the one after the last"),
}
ENDS = ("start", "stop")
SENTENCES = 1 << 14
"""of a row group"""


@dataclass(frozen=True)
class Tokens:
    """Token ids of S sentences."""

    model: str
    """name in catalog.yaml"""
    sentence_ids: np.ndarray
    """(S,) int64"""
    ids: Ragged
    """S arrays of int32; given as a list of arrays, they are put behind each other"""
    pieces: dict[int, str] | None
    """token id -> its text; None where it was not read"""
    truncated: np.ndarray
    """(S,) bool"""
    fingerprint: dict[str, Any]
    """what determines the ids: tokenizer and BOS, part of the key of a dump (contract C6)"""
    source: dict[str, str] | None = None
    """the tokenizer's hub, revision and commit; None for one that is not of the hub. It is no part of the key."""
    spans: np.ndarray = None  # type: ignore[assignment]  # `__post_init__` sees to it
    """(S, 2) the first token that is kept and pooled, and the one after the last; all where they are not given"""
    slots: np.ndarray = None  # type: ignore[assignment]
    """(S, 2) the same of the sentence itself, without BOS, special tokens and template"""
    ends: tuple[Sequence[int], Sequence[int]] = ((), ())
    """BOS and special tokens before and after every text"""

    def __post_init__(self) -> None:
        if not isinstance(self.ids, Ragged):
            object.__setattr__(self, "ids", Ragged.of(self.ids))  # the dataclass is frozen
        whole = np.stack([np.zeros_like(self.ids.lengths), self.ids.lengths], axis=1).astype(np.int32)
        for name in ("spans", "slots"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, whole)

    @property
    def pooled(self) -> Ragged:
        """The ids of the tokens whose states a dump keeps, S arrays."""
        return self.ids.within(self.spans)

    @property
    def plain(self) -> Ragged:
        """The ids that would be read without a template, S arrays."""
        before, after = (np.array(end, dtype=np.int32) for end in self.ends)
        return self.ids.within(self.slots).among([before, None, after])


def write(path: str | Path, tokens: Tokens) -> None:
    """Tokens as Parquet; model, fingerprint and source are facts in its footer."""
    schema = parquet.schema_of(COLUMNS)
    facts = {"encoder": tokens.model, "fingerprint": tokens.fingerprint, "source": tokens.source, "ends": tokens.ends}
    bounds = [given.astype(np.int32) for given in (tokens.spans, tokens.slots)]
    assert tokens.pieces is not None
    known = np.array(sorted(tokens.pieces))
    texts = pa.array([tokens.pieces[token] for token in known.tolist()], pa.string())
    with replacing(path) as part, parquet.writer(part, schema, facts) as sink:
        for start in range(0, len(tokens.ids), SENTENCES):
            some = slice(start, start + SENTENCES)
            ids_of_some = tokens.ids[some]
            values, offsets = ids_of_some.values, to_arrow(ids_of_some.offsets.astype(np.int32))
            lists = [to_arrow(values), texts.take(to_arrow(np.searchsorted(known, values)))]
            ids, pieces = (pa.ListArray.from_arrays(offsets, of_tokens) for of_tokens in lists)
            columns = [to_arrow(tokens.sentence_ids[some]), ids, pieces, pa.array(tokens.truncated[some], pa.bool_())]
            columns += [to_arrow(given[some, end]) for given in bounds for end in (0, 1)]
            sink.write_table(pa.table(columns, schema=schema))


def read(path: str | Path, model: str, pieces: bool = False) -> Tokens:
    """The tokens of a model; their pieces only where they are asked for."""
    stage = f"tokenize@{model}"
    file = parquet.open_file(path, stage)
    parquet.check_schema(file, parquet.schema_of(COLUMNS), path, stage)
    facts = parquet.facts_of(file, path, stage, model)
    table = parquet.read_columns(file, path, stage, [name for name in COLUMNS if name not in ("ids", "pieces")])
    sentence_ids = to_numpy(table["sentence_id"])
    if not len(table) or not np.array_equal(np.sort(sentence_ids), np.arange(len(table))):
        raise damaged(path, f"has {len(table)} sentence ids that are not 0 to {len(table) - 1}, each once", stage)
    ids = _ids(file, path, stage)
    if (ids.lengths == 0).any():
        raise damaged(path, "has a sentence without tokens", stage)
    texts = _pieces(file, path, stage) if pieces else None
    truncated = to_numpy(table["truncated"].cast(pa.uint8())).astype(bool)  # Arrow keeps them as bits
    pooled, text = (np.stack([to_numpy(table[f"{of}_{end}"]) for end in ENDS], axis=1) for of in ("pooled", "text"))
    if not _within(pooled, ids.lengths, 1) or not _within(text, ids.lengths, 0):
        raise damaged(path, "has a span that is not within its sentence", stage)
    ends = tuple(facts.get("ends") or ((), ()))
    return Tokens(
        model, sentence_ids, ids, texts, truncated, facts["fingerprint"], facts.get("source"), pooled, text, ends
    )


def _within(spans: np.ndarray, lengths: np.ndarray, least: int) -> bool:
    """Whether spans (S, 2) of `least` tokens or more lie in sentences of these lengths (S,)."""
    start, stop = spans.T
    return bool(((start >= 0) & (start + least <= stop) & (stop <= lengths)).all())


def _ids(file: pq.ParquetFile, path: str | Path, stage: str) -> Ragged:
    """The token ids, a row group at a time: Arrow's lists cannot hold more than 2^31 of them together."""
    parts = []
    for group in range(file.num_row_groups):
        lists = parquet.read_columns(file, path, stage, ["ids"], group)["ids"].combine_chunks()
        offsets = to_numpy(lists.offsets).astype(np.int64)
        parts.append(Ragged(to_numpy(lists.values)[offsets[0] : offsets[-1]], offsets - offsets[0]))
    return Ragged.joined(parts)


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
