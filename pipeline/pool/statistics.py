"""Poolings of a dump that kept statistics of each sentence instead of its tokens (`dump.keep: pooled`).

FROM_STATISTICS maps an entry of `tokens.POOLINGS` to a function (read, tokens) -> (S, D) float32: `read` gives a
statistic of `pipeline.formats.statistics` by name, (S, D) float32; tokens (S,) float32 are the sentences' lengths.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import pyarrow as pa

from pipeline.base.errors import InputError
from pipeline.formats import statistics
from pipeline.formats.arrays import to_numpy
from pipeline.pool.names import Pooling

Read = Callable[[str], np.ndarray]


def mean(read: Read, tokens: np.ndarray) -> np.ndarray:
    """(sum_t h_t) / T"""
    return (read("first") + read("rest_sum")) / tokens[:, None]


def weighted_mean(read: Read, tokens: np.ndarray) -> np.ndarray:
    """sum_t t h_t / sum_t t"""
    return read("position_sum") / (tokens * (tokens + 1) / 2)[:, None]


def skip_first(read: Read, tokens: np.ndarray) -> np.ndarray:
    """The mean without the first token; a single token stays."""
    kept = np.where(tokens[:, None] > 1, read("rest_sum"), read("first"))
    return kept / np.maximum(tokens - 1, 1)[:, None]


def mean_max(read: Read, tokens: np.ndarray) -> np.ndarray:
    """Mean and max side by side, (S, 2 D)."""
    return np.concatenate([mean(read, tokens), read("max")], axis=1)


FROM_STATISTICS: dict[str, Callable[[Read, np.ndarray], np.ndarray]] = {
    "mean": mean,
    "last": lambda read, tokens: read("last"),
    "first": lambda read, tokens: read("first"),
    "max": lambda read, tokens: read("max"),
    "weighted_mean": weighted_mean,
    "skip_first": skip_first,
    "mean_max": mean_max,
}


def pool_statistics(batch: pa.RecordBatch, name: str, pooling: Pooling) -> np.ndarray:
    """One layer (`layer_00`) of a record batch of statistics -> (S, D) float32.

    InputError for a pooling that needs tokens.
    """
    if pooling.entry not in FROM_STATISTICS:
        raise InputError(
            f"pooling {pooling} needs the state of every token, but the dump kept statistics only, which give "
            f"{', '.join(FROM_STATISTICS)}: set dump.keep to tokens and run the dump again"
        )
    tokens = to_numpy(batch["tokens"]).astype(np.float32)
    return FROM_STATISTICS[pooling.entry](partial(statistics.read, batch, name), tokens)
