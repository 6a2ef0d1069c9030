"""Byte n-gram models: what a language model has to beat on held-out text."""

import numpy as np


def witten_bell(train, test, order):
    """Bits per byte of the texts `test` under an interpolated n-gram model of the texts `train`, for each n up to `order` -> (order,).

    p(b | h) = (count(h b) + types(h) p(b | h')) / (count(h) + types(h)), where types(h) is the number of different bytes
    seen after h and h' is h without its first byte; below the unigrams lies 1/256 (Witten and Bell 1991, in the form of
    Chen and Goodman, arXiv cmp-lg/9606011, section 2.5). A text starts after zero bytes; those are not charged.
    """
    if not 1 <= order <= 8:
        raise ValueError(f"an order of {order}: n-grams of 1 to 8 bytes fit the 64 bits that they are counted in")
    seen, asked = _ngrams(train, order), _ngrams(test, order)
    p, bits = np.full(len(asked), 1 / 256), []
    for n in range(1, order + 1):
        keep = np.uint64(2 ** (8 * n) - 1) if n < 8 else np.uint64(2**64 - 1)
        grams, counts = np.unique(seen & keep, return_counts=True)
        contexts, first, types = np.unique(grams >> np.uint64(8), return_index=True, return_counts=True)
        totals = np.add.reduceat(counts, first)
        count = _lookup(grams, counts, asked & keep)
        context = (asked & keep) >> np.uint64(8)
        total, kinds = _lookup(contexts, totals, context), _lookup(contexts, types, context)
        p = np.where(total > 0, (count + kinds * p) / np.maximum(total + kinds, 1), p)
        bits.append(-np.log2(p).mean())
    return np.array(bits)


def _ngrams(texts, order):
    """The `order` bytes that end at each byte of each text, as numbers, the last byte lowest -> (bytes,) uint64."""
    out = []
    for text in texts:
        padded = np.frombuffer(bytes(order - 1) + text.encode(), dtype=np.uint8).astype(np.uint64)
        size = len(padded) - order + 1
        out.append(sum(padded[i : i + size] << np.uint64(8 * (order - 1 - i)) for i in range(order)))
    return np.concatenate(out)


def _lookup(keys, values, wanted):
    """values where keys == wanted, 0 where it is not among the sorted keys."""
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)
