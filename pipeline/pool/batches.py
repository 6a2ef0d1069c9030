"""Poolings of a record batch of states, of tokens or of statistics."""

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa

from pipeline.base.errors import InputError
from pipeline.formats import states
from pipeline.pool.inputs import Inputs
from pipeline.pool.mixes import Means
from pipeline.pool.names import Pooling
from pipeline.pool.statistics import pool_statistics
from pipeline.pool.weighted import WEIGHTED

CHUNK = 32
"""sentences that are converted to float32 at once: what fits a cache is several times faster"""

Function = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""states (b, T, D) and the ids of their sentences (b,) -> (b, D)"""


def function_of(pooling: Pooling, layer: int, inputs: Inputs) -> Function:
    """A pooling of one layer's tokens, with what it takes beside them. InputError for what was not fitted."""
    if pooling.kind == "weighted":
        pool, weights = WEIGHTED[pooling.entry].pool, inputs.weights[pooling.entry]
        return lambda h, ids: pool(h, np.stack([weights[i] for i in ids.tolist()]))
    if pooling.kind == "learned":
        parameters = inputs.learned(pooling)[layer]
        return lambda h, ids: pooling.function(h, parameters)
    return lambda h, ids: pooling.function(h, *pooling.numbers)


def mix_of(pooling: Pooling, inputs: Inputs) -> Callable[[Means], np.ndarray]:
    """A pooling of kind mix -> a function {layer: (S, D)} -> (S, D). InputError for a layer that the dump lacks."""
    extra = (inputs.learned(pooling),) if pooling.learned else pooling.numbers

    def mix(means: Means) -> np.ndarray:
        if missing := sorted(set(pooling.layers_needed) - set(means)):
            raise InputError(
                f"pooling {pooling} needs layer {missing[0]}, but the dump holds {', '.join(map(str, means))}: see "
                "dump.layers in params.yaml"
            )
        return pooling.function(means, *extra)

    return mix


def chunks(batch: pa.RecordBatch, name: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """One layer (`layer_00`) of a record batch of tokens -> states (b, T, D) float32 and sentence ids (b,).

    In the order of the batch; neighbours of one length come together.
    """
    rows, (ids, starts) = states.layer(batch, name), states.sentence_starts(batch)
    lengths = np.diff(starts)
    changes = np.append(np.flatnonzero(np.diff(lengths, prepend=-1)), len(lengths))
    for first, stop in pairwise(changes):
        for start in range(first, stop, CHUNK):
            end = min(start + CHUNK, stop)
            h = rows[starts[start] : starts[end]].reshape(end - start, lengths[first], -1)
            yield h.astype(np.float32), ids[start:end]


def pool_tokens(batch: pa.RecordBatch, name: str, functions: dict[Pooling, Function]) -> dict[Pooling, np.ndarray]:
    """One layer (`layer_00`) of a record batch of tokens -> {pooling: (S, D) float32}, a row a sentence.

    All poolings are computed while the states of a few sentences are in the cache.
    """
    pooled: dict[Pooling, list[np.ndarray]] = {pooling: [] for pooling in functions}
    for h, ids in chunks(batch, name):
        for pooling, function in functions.items():
            pooled[pooling].append(function(h, ids))
    return {pooling: np.concatenate(parts) for pooling, parts in pooled.items()}


def pool_layer(
    batch: pa.RecordBatch, name: str, layer: int, poolings: Iterable[Pooling], inputs: Inputs
) -> dict[Pooling, np.ndarray]:
    """One layer, number and column, of a record batch of either kind -> {pooling: (S, D) float32}; no mixes."""
    if states.holds_tokens(batch):
        return pool_tokens(batch, name, {pooling: function_of(pooling, layer, inputs) for pooling in poolings})
    return {pooling: pool_statistics(batch, name, pooling) for pooling in poolings}
