"""The train pairs: of the study or of another data set, and none with a sentence that the study reports on."""

import re
from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.base.errors import InputError
from pipeline.catalog import entries
from pipeline.formats.splits import chosen_on
from pipeline.text.pairs import prepare
from pipeline.text.settings import Prepare


@dataclass(frozen=True)
class TrainPairs:
    """n labelled pairs of S distinct texts."""

    texts: list[str]
    first: np.ndarray
    """(n,) numbers of texts"""
    second: np.ndarray
    labels: np.ndarray
    """(n,) float64"""
    component: np.ndarray
    """(n,) int64"""
    left_out: int
    """pairs with a sentence of a split that the study reports on"""

    def __len__(self) -> int:
        return len(self.labels)


def train_pairs(pairs: pl.DataFrame, sentences: pl.DataFrame, dataset: str | None) -> TrainPairs:
    """What is learned from: the train split of the study's pairs (C2), or of another data set of catalog.yaml.

    A pair is left out where one of its sentences is, but for case, blanks and punctuation, in another split of the
    study. So GLUE's text and Microsoft's are the same, and STS-B's pairs from MRPC are found. InputError where none is
    left.
    """
    reported = texts_of(pairs.filter(pl.col("split") != chosen_on(pairs["split"])), sentences)
    if dataset is not None:
        prepared = prepare(entries.entry("datasets", dataset), dataset, Prepare(limit=None))
        pairs, sentences = prepared.pairs, prepared.sentences
    table = pairs.filter(pl.col("split") == chosen_on(pairs["split"]))
    known = {letters(text) for text in reported}
    text_of = dict(sentences.select("sentence_id", "text").iter_rows())
    is_reported = {number: letters(text) in known for number, text in text_of.items()}
    sides = table["sentence1_id"].to_list(), table["sentence2_id"].to_list()
    kept = np.array([not (is_reported[a] or is_reported[b]) for a, b in zip(*sides)], dtype=bool)
    if not kept.any():
        what = "the study's train pairs" if dataset is None else f"the train pairs of {dataset}"
        raise InputError(f"{what} all have a sentence that the study reports on: nothing is left to learn from")
    both = np.array(sides)[:, kept]
    ids, where = np.unique(both, return_inverse=True)
    first, second = where.reshape(2, -1)
    return TrainPairs(
        texts=[text_of[number] for number in ids.tolist()],
        first=first,
        second=second,
        labels=table["label"].to_numpy()[kept].astype(np.float64),
        component=table["component"].to_numpy()[kept].astype(np.int64),
        left_out=int((~kept).sum()),
    )


def texts_of(pairs: pl.DataFrame, sentences: pl.DataFrame) -> set[str]:
    """The texts of both sides of some pairs."""
    numbers = set(pairs["sentence1_id"]) | set(pairs["sentence2_id"])
    return set(sentences.filter(pl.col("sentence_id").is_in(list(numbers)))["text"])


def letters(text: str) -> str:
    """A text without case, blanks and punctuation; one that has nothing else is itself."""
    return re.sub(r"[\W_]+", "", text.casefold()) or text


def positive_from(labels: np.ndarray, given: float | None) -> float:
    """The label from which on a pair is a paraphrase: `given`, or 1 of 0/1, or 4/5 of the largest grade."""
    if given is not None:
        return given
    return 1.0 if set(np.unique(labels)) <= {0.0, 1.0} else 0.8 * float(labels.max())
