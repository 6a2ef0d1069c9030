"""Vectors -> the scores of every correction and similarity, and their rows in a table: what run and sweep share."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from pipeline.base.errors import InputError
from pipeline.formats.arrays import OnDisk, Rows
from pipeline.formats.parquet import Column, schema_of
from pipeline.formats.scores import COLUMNS
from pipeline.formats.unembeddings import Unembedding
from pipeline.pool.corrections import Apply, as_they_are
from pipeline.pool.names import Correction
from pipeline.pool.train_vectors import CorrectionError, NoUnembeddingError, TrainVectors, in_parts
from pipeline.score.similarities import Similarity, score_pairs

OF_PAIRS = ("pair_id", "split", "label")
ROWS_AT_ONCE = 1 << 18
"""rows of a table, at most, unless a combination has more: each takes hundreds of bytes on its way to a file"""


@dataclass
class Table:
    """Scores of all pairs by some combinations, as they become known."""

    pairs: pl.DataFrame
    """P pairs (C2), in the order of pair_id"""
    columns: dict[str, Column] = field(default_factory=lambda: COLUMNS)
    """of the table: those of C5, or of a sweep"""
    keys: list[dict[str, Any]] = field(default_factory=list)
    """of each combination, the columns that are not of a pair, and not the score"""
    scores: list[np.ndarray] = field(default_factory=list)
    """of each combination, (P,)"""

    def add(self, scores: np.ndarray, **key: Any) -> None:
        """The scores (P,) of a combination. InputError where one is not finite."""
        if not np.isfinite(scores).all():
            row = int(np.argmin(np.isfinite(scores)))
            layer = "" if key["layer"] is None else f", layer {key['layer']}"
            raise InputError(
                f"the {key['similarity']} of {key['encoder']}{layer} is {scores[row]} for pair "
                f"{self.pairs['pair_id'][row]} (split {self.pairs['split'][row]}), and for "
                f"{int((~np.isfinite(scores)).sum())} pairs in all: its vectors are not finite"
            )
        self.keys.append(key)
        self.scores.append(scores)

    @property
    def full(self) -> bool:
        """Whether there are rows for a part."""
        return len(self.keys) * len(self.pairs) >= ROWS_AT_ONCE

    def parts(self, whole: bool = True) -> Iterator[pl.DataFrame]:
        """The rows, ROWS_AT_ONCE at a time, a combination's pairs one behind the other.

        whole: a part is of whole combinations, as a row group of a sweep has to be, however many pairs there are.
        """
        count = len(self.pairs)
        step, length = max(1, ROWS_AT_ONCE // count), count if whole else min(count, ROWS_AT_ONCE)
        for start in range(0, len(self.keys), step):
            for first in range(0, count, length):
                yield self._rows(slice(start, start + step), slice(first, first + length))

    def _rows(self, some: slice, of_pairs: slice) -> pl.DataFrame:
        names = [name for name in self.columns if name not in (*OF_PAIRS, "score")]
        types = pl.DataFrame(pa.Table.from_batches([], schema_of(self.columns))).schema
        keys = pl.DataFrame(self.keys[some], schema={name: types[name] for name in names})
        pairs = self.pairs[of_pairs].select(OF_PAIRS)
        repeated = keys[np.repeat(np.arange(len(keys)), len(pairs))]
        scores = pl.Series("score", np.concatenate([of_all[of_pairs] for of_all in self.scores[some]]), pl.Float64)
        of_each = pl.concat([pairs] * len(keys))
        return pl.concat([of_each, repeated, scores.to_frame()], how="horizontal").select(list(self.columns))


@dataclass(frozen=True)
class Scored:
    """What the vectors of one encoder and layer give."""

    scores: list[tuple[Correction, Similarity, np.ndarray]]
    """each with (P,) scores"""
    left_out: list[tuple[Correction, str]]
    """corrections that these vectors cannot have, such as more dimensions than last tokens have at layer 0, and why"""


def usable(
    corrections: Sequence[Correction], unembedding: Unembedding | None
) -> tuple[list[Correction], dict[str, str]]:
    """Which corrections an encoder with this unembedding, or without one, can have; {name: why} of the others."""
    without = {str(c): NoUnembeddingError.why for c in corrections if c.by_unembedding and unembedding is None}
    return [correction for correction in corrections if str(correction) not in without], without


def at_layers(layers: Iterable[Any]) -> str:
    """Words that follow what is said of some layers; none where it is said of a mix, whose layer is None."""
    numbers = [str(layer) for layer in layers if layer is not None]
    return f" at layer{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}" if numbers else ""


def score_vectors(
    vectors: Rows,
    pairs: pl.DataFrame,
    train: np.ndarray,
    corrections: Sequence[Correction],
    similarities: Sequence[Similarity],
    unembedding: Unembedding | None = None,
) -> Scored:
    """Sentence vectors (S, D), pairs (C2) and the ids of the train sentences (n,) -> scores of every combination.

    unembedding: of the model whose vectors they are, for corrections that take it.
    """
    first, second = pairs["sentence1_id"].to_numpy(), pairs["sentence2_id"].to_numpy()
    train_vectors, scores, left_out = TrainVectors(vectors, unembedding, train), [], []
    for correction in corrections:
        try:
            corrected = corrected_rows(vectors, correction.fit(train_vectors))
            found = score_pairs(corrected, first, second, similarities)
            del corrected  # its file, before there is one of the next correction
        except CorrectionError as error:
            left_out.append((correction, error.why))
            continue
        for similarity, of_pairs in zip(similarities, found):
            scores.append((correction, similarity, of_pairs))
    return Scored(scores, left_out)


def corrected_rows(vectors: Rows, apply: Apply) -> Rows:
    """Vectors (S, D) and a correction -> (S, D'), on disk where they are, but for those that stay as they are."""
    if not isinstance(vectors, OnDisk):
        return apply(vectors)
    if apply is as_they_are:
        return vectors
    return OnDisk(apply(vectors[some]) for some in in_parts(*vectors.shape))
