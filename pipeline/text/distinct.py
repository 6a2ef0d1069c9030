"""Which texts are the same, without a dictionary of them: each is hashed to 128 bits, and compared with the first of
its hash.

Two hashes of 64 bits of Polars, with two seeds, make one: a fortieth of the time of hashlib's blake2b, which wants a
string of Python for each text. How good they are decides the time alone. Texts are compared, so two that share a hash
are told apart.
"""

from collections.abc import Callable

import numpy as np
import polars as pl

SEEDS = (0, 1)
Hash = Callable[[pl.Series], np.ndarray]
"""texts (N,) -> (N, 2) uint64"""


def hash_of(texts: pl.Series) -> np.ndarray:
    """128 bits of each text, (N,) -> (N, 2) uint64; the same for the same text in one process, not on each machine."""
    return np.stack([texts.hash(seed=seed).to_numpy() for seed in SEEDS], axis=1)


def first_of_each(texts: pl.Series, hash_of: Hash = hash_of) -> np.ndarray:
    """Where each text is for the first time: texts (N,) -> (N,) rows.

    A round settles the texts that are the first ones of their hash, wherever they are; those that merely share it go
    to the next one, of which there are none as long as no two texts share 128 bits.
    """
    first, open_rows = np.empty(len(texts), dtype=np.int64), np.arange(len(texts))
    hashes = hash_of(texts)
    while len(open_rows):
        first[open_rows] = open_rows[_first_of_equal(hashes[open_rows])]
        same = (texts.gather(open_rows) == texts.gather(first[open_rows])).to_numpy()
        open_rows = open_rows[~same]
    return first


def numbered(texts: pl.Series, hash_of: Hash = hash_of) -> tuple[np.ndarray, np.ndarray]:
    """Texts (N,) -> the number of each, (N,), counted by first appearance, and where the S distinct ones are for the
    first time, (S,).
    """
    first = first_of_each(texts, hash_of)
    distinct = np.flatnonzero(first == np.arange(len(texts)))
    return np.searchsorted(distinct, first), distinct


def sentences_of(rows: pl.DataFrame) -> tuple[np.ndarray, np.ndarray, pl.Series]:
    """The columns sentence1 and sentence2 of P pairs as numbers, (P,) and (P,), and the texts that are numbered, (S,).

    They are numbered by first appearance, the first sentence of a pair before its second.
    """
    count = len(rows)
    both = pl.concat([rows["sentence1"], rows["sentence2"]], rechunk=False)
    as_read = np.arange(2 * count).reshape(2, count).T.ravel()  # a pair's two one behind the other
    numbers, distinct = numbered(both.gather(as_read))
    return numbers[::2], numbers[1::2], both.gather(as_read[distinct])


def _first_of_equal(keys: np.ndarray) -> np.ndarray:
    """The first row that is equal to each: (N, 2) -> (N,)."""
    order = np.lexsort(keys.T)  # stable: of equal ones the first is the first
    ascending = keys[order]
    begins = np.append(True, (ascending[1:] != ascending[:-1]).any(axis=1))
    first = np.empty(len(keys), dtype=np.int64)
    first[order] = order[np.flatnonzero(begins)][np.cumsum(begins) - 1]
    return first
