"""Controls: words in another order, labels of other pairs, partners of other sentences. Each follows from a seed.

A control leaves everything as it is but one thing, so that a figure that stays what it was does not depend on it.
"""

import random
import re
from collections import defaultdict

import numpy as np
import polars as pl

from pipeline.base.errors import InputError
from pipeline.catalog.dataset import Dataset

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
    first, second = rows["sentence1"].to_list(), rows["sentence2"].to_list()
    partners: defaultdict[str, set[str]] = defaultdict(set)
    for a, b in zip(first, second):
        partners[a] |= {a, b}
        partners[b].add(a)
    replaced = list(second)
    for split, at in _rows_of(rows).items():
        barred: dict[str, set[str]] = {}  # second sentence -> what its first sentences must not meet
        for row in at.tolist():
            barred.setdefault(second[row], set()).update(partners[first[row]])
        other = _exchanged(barred, seed, split, what)
        for row in at.tolist():
            replaced[row] = other[second[row]]
    return rows.with_columns(sentence2=pl.Series(replaced, dtype=pl.String))


def _exchanged(barred: dict[str, set[str]], seed: int, split: str, what: str) -> dict[str, str]:
    """A random one-to-one map of the keys onto themselves, none to one that is barred for it.

    A drawn order, in which what is barred changes places with the next one where both are then allowed.
    """
    texts = list(barred)
    taken = [texts[i] for i in order(len(texts), seed, split)]
    for i, text in enumerate(texts):
        if taken[i] not in barred[text]:
            continue
        for j in (*range(i + 1, len(texts)), *range(i)):
            if taken[j] not in barred[text] and taken[i] not in barred[texts[j]]:
                taken[i], taken[j] = taken[j], taken[i]
                break
        else:
            raise InputError(
                f"{what}: the pairs of split {split} cannot be paired at random, since {text[:60]!r} finds no sentence "
                f"that it is not paired with already, among {len(texts)}: leave the split out with `splits`"
            )
    return dict(zip(texts, taken))


def _rows_of(rows: pl.DataFrame) -> dict[str, np.ndarray]:
    """{split: its row numbers}, in the order of the source."""
    splits = rows["split"].to_numpy()
    return {split: np.flatnonzero(splits == split) for split in dict.fromkeys(splits)}
