"""Byte n-gram models: what a language model has to beat on held-out text."""

from collections.abc import Iterable

import numpy as np


def witten_bell(train: Iterable[str], test: Iterable[str], order: int) -> np.ndarray:
    """Bits per byte of the texts `test` under n-gram models of the texts `train`, n = 1 to `order` -> (order,).

    p(b | h) = (count(h b) + types(h) p(b | h')) / (count(h) + types(h)), where types(h) is the number of different
    bytes seen after h and h' is h without its first byte; below the unigrams lies 1/256 (Witten and Bell 1991, in the
    form of Chen and Goodman, arXiv cmp-lg/9606011, section 2.5). A text starts after zero bytes; those are not charged.
    """
    if not 1 <= order <= 8:
        raise ValueError(f"an order of {order}: n-grams of 1 to 8 bytes fit the 64 bits that they are counted in")
    seen, asked = _ngrams(train, order), _ngrams(test, order)
    p, bits = np.full(len(asked), 1 / 256), []
    for n in range(1, order + 1):
        last_n = np.uint64(2 ** (8 * n) - 1)
        grams, counts = np.unique(seen & last_n, return_counts=True)
        contexts, first, types = np.unique(grams >> np.uint64(8), return_index=True, return_counts=True)
        totals = np.add.reduceat(counts, first)
        gram = asked & last_n
        context = gram >> np.uint64(8)
        count = _lookup(grams, counts, gram)  # count(h b)
        total = _lookup(contexts, totals, context)  # count(h)
        kinds = _lookup(contexts, types, context)  # types(h)
        p = np.where(total > 0, (count + kinds * p) / np.maximum(total + kinds, 1), p)
        bits.append(-np.log2(p).mean())
    return np.array(bits)


def _ngrams(texts: Iterable[str], order: int) -> np.ndarray:
    """The `order` bytes that end at each byte of each text, as numbers, the last byte lowest -> (bytes,) uint64."""
    numbers = []
    for text in texts:
        padded = np.frombuffer(bytes(order - 1) + text.encode(), dtype=np.uint8).astype(np.uint64)
        size = len(padded) - order + 1
        numbers.append(sum(padded[i : i + size] << np.uint64(8 * (order - 1 - i)) for i in range(order)))
    return np.concatenate(numbers)


def _lookup(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Values where keys == wanted, 0 where it is not among the sorted keys."""
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)
