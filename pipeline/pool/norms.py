"""How the squared norm of a sentence's states is spread over its positions (`formats.norms`).

A mean over positions is mostly the one that holds most of it: in many models the first (arXiv 2402.17762).
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from pipeline.formats import statistics
from pipeline.formats.arrays import to_numpy
from pipeline.formats.norms import POSITIONS, Norms
from pipeline.pool.names import Pooling

AVERAGED = {
    **dict.fromkeys(("mean", "weighted_mean", "norm_mean", "mean_max", "diagonal"), POSITIONS),
    **dict.fromkeys(("first_last", "layers_I_J", "mean_layers", "scalar_mix"), POSITIONS),
    "skip_first": ("last", "other"),
}
"""entry of a pooling -> `Norms.averaged`; nothing is said of those that weigh tokens by what they are or hold"""


def squared_norms(h: np.ndarray) -> np.ndarray:
    """States of sentences of one length, (S, T, D) -> (S T,): |h_t|^2, one sentence after the other."""
    return np.vecdot(h, h).reshape(-1)


def of_tokens(squared: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Squared norms of tokens, and where the S sentences begin (S + 1,), the last being the tokens -> (S, 5).

    A row is the share of `Norms`, the even share, and for each of POSITIONS whether it holds most, 0 or 1; the first
    before others that hold as much. States that are all zero are spread evenly.
    """
    most, total = np.maximum.reduceat(squared, starts[:-1]), np.add.reduceat(squared, starts[:-1])
    first, last = squared[starts[:-1]], squared[starts[1:] - 1]
    return _rows(most, total, np.diff(starts), first == most, last == most)


def of_statistics(batch: pa.RecordBatch, name: str) -> np.ndarray:
    """One layer (`layer_00`) of a record batch of statistics -> the same, of the first and the last position alone."""
    first, last = (np.square(statistics.read(batch, name, end)).sum(axis=1) for end in ("first", "last"))
    total, tokens = statistics.read(batch, name, "squared_norm"), to_numpy(batch["tokens"])
    return _rows(np.maximum(first, last), total, tokens, first >= last, first < last)


def _rows(most: np.ndarray, total: np.ndarray, tokens: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Five arrays (S,) -> (S, 5)."""
    even = 1 / tokens
    share = np.divide(most, total, out=even.copy(), where=total != 0)
    last = last & ~first
    return np.stack([share, even, first, last, ~(first | last)], axis=1)


def norms_of(pooling: Pooling, means: dict[int, np.ndarray], every_position: bool) -> Norms:
    """{layer: the mean of the rows above over all sentences, (5,)} -> what is written of the layers that are pooled."""
    used = [layer for layer in means if layer in layers_used(pooling, means)]
    table = np.stack([means[layer] for layer in used])
    largest = {position: table[:, 2 + column].tolist() for column, position in enumerate(POSITIONS)}
    averaged = list(AVERAGED.get(pooling.entry, ()))
    return Norms(used, table[:, 0].tolist(), float(table[0, 1]), largest, every_position, averaged)


def layers_used(pooling: Pooling, layers: Iterable[int]) -> list[int]:
    """Which of the layers of a dump go into the vectors: all but for a mix of some."""
    if pooling.entry == "first_last":
        return [*pooling.layers_needed, max(layers)]
    return list(pooling.layers_needed or layers)
