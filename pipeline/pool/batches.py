"""Poolings of a record batch of states, of tokens, of statistics or of recurrent states."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa

from pipeline.base.errors import InputError
from pipeline.formats import recurrent, states
from pipeline.pool import norms
from pipeline.pool.inputs import Inputs
from pipeline.pool.mixes import Means
from pipeline.pool.names import Pooling
from pipeline.pool.statistics import pool_statistics
from pipeline.pool.weighted import WEIGHTED

CHUNK = 32
"""sentences that are converted to float32 at once: what fits a cache is several times faster"""

STATE_CHUNK = 1 << 21
"""numbers of recurrent states that are converted to float32 at once"""

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


def of_chunks(batch: pa.RecordBatch, name: str, functions: Sequence[Function]) -> list[np.ndarray]:
    """One layer (`layer_00`) of a record batch of tokens -> what each function makes of it, in the order of the batch.

    All are computed while the states of a few sentences are in the cache.
    """
    parts: list[list[np.ndarray]] = [[] for _ in functions]
    for h, ids in chunks(batch, name):
        for part, function in zip(parts, functions):
            part.append(function(h, ids))
    return [np.concatenate(part) for part in parts]


def pool_recurrent(batch: pa.RecordBatch, name: str, pooling: Pooling) -> np.ndarray:
    """One layer (`layer_01`) of a record batch of recurrent states -> (S, H N M) float32."""
    kept = recurrent.read(batch, name)
    step = max(1, STATE_CHUNK // int(np.prod(kept.shape[1:])))
    parts = [kept[start : start + step].astype(np.float32) for start in range(0, len(kept), step)]
    return np.concatenate([pooling.function(part, *pooling.numbers) for part in parts])


def pool_layer(
    batch: pa.RecordBatch, name: str, layer: int, poolings: Iterable[Pooling], inputs: Inputs
) -> dict[Pooling, np.ndarray]:
    """One layer, number and column, of a record batch of any kind -> {pooling: (S, D) float32}; no mixes."""
    poolings = list(poolings)
    if recurrent.held_by(batch):
        return {pooling: pool_recurrent(batch, name, pooling) for pooling in poolings}
    if states.holds_tokens(batch):
        functions = [function_of(pooling, layer, inputs) for pooling in poolings]
        return dict(zip(poolings, of_chunks(batch, name, functions)))
    return {pooling: pool_statistics(batch, name, pooling) for pooling in poolings}


def pool_and_measure(
    batch: pa.RecordBatch, name: str, layer: int, pooling: Pooling, inputs: Inputs
) -> tuple[np.ndarray, np.ndarray | None]:
    """The same by one pooling, and in the same read the norms of its sentences -> (S, D) float32, (S, 5) of `norms`.

    There are no norms of tokens where the recurrent state was kept.
    """
    if recurrent.held_by(batch):
        return pool_recurrent(batch, name, pooling), None
    if states.holds_tokens(batch):
        functions = [function_of(pooling, layer, inputs), lambda h, ids: norms.squared_norms(h)]
        vectors, squared = of_chunks(batch, name, functions)
        return vectors, norms.of_tokens(squared, states.sentence_starts(batch)[1])
    return pool_statistics(batch, name, pooling), norms.of_statistics(batch, name)
