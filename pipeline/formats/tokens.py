"""Token ids of one model: `data/tokens/MODEL.parquet`, written by the stage tokenize."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.base.files import replacing
from pipeline.formats import parquet
from pipeline.formats.arrays import each_once, on_disk, to_arrow, to_numpy
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
        for name in ("spans", "slots"):
            if getattr(self, name) is None:
                whole = np.stack([np.zeros_like(self.ids.lengths), self.ids.lengths], axis=1)
                object.__setattr__(self, name, whole.astype(np.int32))

    @property
    def pooled(self) -> Ragged:
        """The ids of the tokens whose states a dump keeps, S arrays."""
        return self.ids.within(self.spans)

    @property
    def plain(self) -> Ragged:
        """The ids that would be read without a template, S arrays."""
        return self._around(self.ids.within(self.slots))

    def plain_of(self, rows: np.ndarray) -> Ragged:
        """The same of some sentences, by the numbers of their rows (n,)."""
        return self._around(self.ids.take(rows).within(self.slots[rows]))

    @property
    def plain_lengths(self) -> np.ndarray:
        """How many ids `plain` has of each sentence, (S,)."""
        return self.slots[:, 1] - self.slots[:, 0] + sum(map(len, self.ends))

    def _around(self, sentences: Ragged) -> Ragged:
        before, after = (np.array(end, dtype=np.int32) for end in self.ends)
        return sentences.among([before, None, after])


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
    """The tokens of a model, ids on disk; their pieces only where they are asked for."""
    stage = f"tokenize@{model}"
    file = parquet.open_file(path, stage)
    parquet.check_schema(file, parquet.schema_of(COLUMNS), path, stage)
    facts = parquet.facts_of(file, path, stage, model)
    if not (count := file.metadata.num_rows):
        raise damaged(path, "has no rows", stage)
    ids, sentence_ids, truncated, pooled, text = _arrays(file, path, stage)
    if not each_once(sentence_ids):
        raise damaged(path, f"has {count} sentence ids that are not 0 to {count - 1}, each once", stage)
    if (ids.lengths == 0).any():
        raise damaged(path, "has a sentence without tokens", stage)
    texts = _pieces(file, path, stage) if pieces else None
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


def _arrays(
    file: pq.ParquetFile, path: str | Path, stage: str
) -> tuple[Ragged, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The ids, sentence_id (S,), truncated (S,), and both spans (S, 2). They are read a row group at a time, also since
    Arrow's lists cannot hold more than 2^31 numbers together.
    """
    count, at = file.metadata.num_rows, 0
    offsets, sentence_ids = np.zeros(count + 1, np.int64), np.empty(count, np.int64)
    truncated, (pooled, text) = np.empty(count, bool), np.empty((2, count, 2), np.int32)

    def groups() -> Iterator[np.ndarray]:
        nonlocal at
        for group in range(file.num_row_groups):
            table = parquet.read_columns(file, path, stage, [name for name in COLUMNS if name != "pieces"], group)
            some = slice(at, at := at + len(table))
            lists = table["ids"].combine_chunks()
            begins = to_numpy(lists.offsets).astype(np.int64)
            sentence_ids[some] = to_numpy(table["sentence_id"])
            truncated[some] = to_numpy(table["truncated"].cast(pa.uint8()))  # Arrow keeps them as bits
            for spans, of in ((pooled, "pooled"), (text, "text")):
                spans[some] = np.stack([to_numpy(table[f"{of}_{end}"]) for end in ENDS], axis=1)
            offsets[some.start + 1 : some.stop + 1] = offsets[some.start] + begins[1:] - begins[0]
            yield to_numpy(lists.values)[begins[0] : begins[-1]]

    return Ragged(on_disk(groups()), offsets), sentence_ids, truncated, pooled, text


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
