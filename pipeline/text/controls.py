"""Controls: words in another order, labels of other pairs, partners of other sentences. Each follows from a seed.

A control leaves everything as it is but one thing, so that a figure that stays what it was does not depend on it.
"""

import random
import re
from dataclasses import dataclass
from itertools import chain

import numpy as np
import polars as pl

from pipeline.base.errors import InputError
from pipeline.catalog.dataset import Dataset
from pipeline.text.distinct import sentences_of

WORD = re.compile(r"\S+")


def order(count: int, *key: object) -> list[int]:
    """The numbers below `count` in an order that the key alone decides, on every machine."""
    draw = random.Random(" ".join(map(str, key))).random  # its sequence is what Python promises to keep
    return sorted(range(count), key=lambda _: draw())


def shuffled_words(text: str, seed: int) -> str:
    """A text with its words in another order and its white space where it was: the same words and as many bytes.

    The order depends on the seed and the text alone. Of two words it is the old one half of the time.
    """
    words = WORD.findall(text)
    moved = iter([words[i] for i in order(len(words), seed, text)])
    return WORD.sub(lambda _: next(moved), text)


def applied(entry: Dataset, rows: pl.DataFrame, what: str) -> pl.DataFrame:
    """The rows of `read_rows` with the control of an entry; as they are where it has none."""
    if entry.permute_labels is not None:
        return permuted_labels(rows, entry.permute_labels)
    return rows if entry.pair_at_random is None else paired_at_random(rows, entry.pair_at_random, what)


def permuted_labels(rows: pl.DataFrame, seed: int) -> pl.DataFrame:
    """The rows with the labels of each split in another order: as many of each label, and none of its pair."""
    labels = rows["label"].to_numpy().copy()
    for split, at in _rows_of(rows).items():
        labels[at] = labels[at[order(len(at), seed, split)]]
    return rows.with_columns(label=pl.Series(labels))


def paired_at_random(rows: pl.DataFrame, seed: int, what: str) -> pl.DataFrame:
    """The rows with other second sentences, of the same split; labels and first sentences stay.

    The distinct second sentences of a split change places, so one that is in several pairs is replaced by one other
    in all of them, and pairs that share sentences go on to do so: components stay as large as they were, but for texts
    that are a first and a second sentence. No sentence meets itself, or one that it is paired with anywhere in the
    source. InputError for a split in which that cannot be had.
    """
    first, second, texts = sentences_of(rows)
    met = _Met(first, second, len(texts))
    replaced = second.copy()
    for split, at in _rows_of(rows).items():
        keys, where = _by_first_appearance(second[at])
        taken = keys[order(len(keys), seed, split)]
        if (lonely := _exchange(taken, met.barred(first[at], where, len(keys)))) is not None:
            text = texts[int(keys[lonely])][:60]
            raise InputError(
                f"{what}: the pairs of split {split} cannot be paired at random, since {text!r} finds no sentence "
                f"that it is not paired with already, among {len(keys)}: leave the split out with `splits`"
            )
        replaced[at] = taken[where]
    return rows.with_columns(sentence2=texts.gather(replaced))


@dataclass(frozen=True)
class Barred:
    """Which sentences the firsts of each of n second sentences must not meet."""

    firsts: np.ndarray
    """first sentences of the pairs of a split, in the order of their second ones"""
    starts: np.ndarray
    """(n + 1,) where those of each second sentence begin"""
    met: "_Met"

    def __call__(self, second: int, other: int) -> bool:
        """Whether a second sentence, by its place, must not be replaced by another one."""
        return bool(self.met.each(self.firsts[self.starts[second] : self.starts[second + 1]], other).any())

    def all(self, others: np.ndarray) -> np.ndarray:
        """The same of each second sentence and its replacement, (n,) -> (n,) bool."""
        lengths = np.diff(self.starts)
        return np.logical_or.reduceat(self.met.each(self.firsts, np.repeat(others, lengths)), self.starts[:-1])


class _Met:
    """Which of S sentences are in a pair with which, anywhere in the source."""

    def __init__(self, first: np.ndarray, second: np.ndarray, count: int) -> None:
        self.count = count
        self.pairs = np.unique(np.concatenate([first * count + second, second * count + first]))

    def each(self, firsts: np.ndarray, others: np.ndarray | int) -> np.ndarray:
        """Whether sentences (n,) are, or have met, others: (n,) or one -> (n,) bool."""
        wanted = firsts * self.count + others
        at = np.minimum(np.searchsorted(self.pairs, wanted), len(self.pairs) - 1)
        return (firsts == others) | (self.pairs[at] == wanted)

    def barred(self, firsts: np.ndarray, where: np.ndarray, count: int) -> Barred:
        """Of pairs by their first sentences (n,), and the place of their second ones among so many, (n,)."""
        starts = np.concatenate([[0], np.cumsum(np.bincount(where, minlength=count))])
        return Barred(firsts[np.argsort(where, kind="stable")], starts, self)


def _by_first_appearance(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (n,) -> the distinct ones as they appear, (m,), and the place of each among them, (n,)."""
    names, first, where = np.unique(values, return_index=True, return_inverse=True)
    appear = np.argsort(first)
    return names[appear], np.argsort(appear)[where]


def _exchange(taken: np.ndarray, barred: Barred) -> int | None:
    """Let a drawn order of n sentences change in place until none is barred for the sentence that it replaces: what is
    changes places with the next one where both are then allowed. The place of one that finds none, or None.
    """
    for i in np.flatnonzero(barred.all(taken)).tolist():
        if not barred(i, taken[i]):  # one before has changed places with it
            continue
        for j in chain(range(i + 1, len(taken)), range(i)):
            if not barred(i, taken[j]) and not barred(j, taken[i]):
                taken[i], taken[j] = taken[j], taken[i]
                break
        else:
            return int(i)
    return None


def _rows_of(rows: pl.DataFrame) -> dict[str, np.ndarray]:
    """{split: its row numbers}, in the order of the source."""
    splits = rows["split"]
    return {split: (splits == split).arg_true().to_numpy() for split in splits.unique(maintain_order=True)}
