"""A dump -> one file of sentence vectors (contract C4), record batch by record batch, in bounded memory.

A dump is in the order of its plan, vectors are in that of sentence_id: a row number is a sentence wherever the file is
read. Between them lies an unnamed file on disk, since the vectors may not fit into memory.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import pyarrow as pa

from pipeline.base.errors import InputError
from pipeline.base.files import replacing
from pipeline.engine.local import LOCAL
from pipeline.formats import states, vectors
from pipeline.formats.dumps import States
from pipeline.formats.norms import Norms
from pipeline.formats.precision import Precision, check_scales, scales_of
from pipeline.formats.states import layer_number
from pipeline.pool.batches import mix_of, pool_and_measure
from pipeline.pool.inputs import Inputs
from pipeline.pool.names import MEAN, Pooling, mismatch
from pipeline.pool.norms import norms_of
from pipeline.pool.weighted import without_common

if TYPE_CHECKING:
    from pipeline.engine.engines import Engine

ROW_GROUP = 1024
"""so many sentences are written at once, at most"""
GROUP_BYTES = 1 << 28
"""of the vectors of all layers that are written at once: recurrent states are wide"""

Layers = dict[int, np.ndarray]
"""layer number -> (S, D) float32; a mix has one, 0"""


def pool_batch(
    batch: pa.RecordBatch, pooling: Pooling, names: dict[int, str], inputs: Inputs
) -> tuple[Layers, dict[int, np.ndarray]]:
    """A record batch of any kind and its layers {number: name} -> the vectors of its sentences, and their norms.

    The norms are sums over the sentences, {layer: (5,) float64}, of what `pipeline.pool.norms` measures; of recurrent
    states there are none.
    """
    of_layers = MEAN if pooling.kind == "mix" else pooling
    pooled, sums = {}, {}
    for layer, name in names.items():
        pooled[layer], of_sentences = pool_and_measure(batch, name, layer, of_layers, inputs)
        if of_sentences is not None:
            sums[layer] = of_sentences.sum(axis=0)
    return ({0: mix_of(pooling, inputs)(pooled)} if pooling.kind == "mix" else pooled), sums


@dataclass(frozen=True)
class Pooled:
    """What pools a record batch of a dump, by its number."""

    dump: States
    pooling: Pooling
    inputs: Inputs

    def __call__(self) -> Callable[[int], tuple[np.ndarray, Layers, dict[int, np.ndarray]]]:
        """The function of a number -> sentence ids (S,), and what `pool_batch` gives."""
        return lambda number: self.of(self.dump.batches[number])

    def of(self, batch: pa.RecordBatch) -> tuple[np.ndarray, Layers, dict[int, np.ndarray]]:
        """The same of a record batch."""
        return states.sentences_of(batch), *pool_batch(batch, self.pooling, self.dump.layers, self.inputs)


def pool(  # noqa: PLR0913 - what is pooled, where it goes, and how
    dump: States,
    pooling: Pooling,
    path: str | Path,
    encoder: str,
    inputs: Inputs,
    *,
    store: str = "float32",
    engine: "Engine" = LOCAL,
) -> None:
    """The states of a dump -> a file of vectors, in the order of sentence_id, in a type of `formats.precision.STORES`.

    InputError for a pooling that was not fitted, or that needs what the dump did not keep, and for vectors that do not
    fit the type.
    """
    if why := mismatch(pooling, dump.keep):
        raise InputError(f"pooling {pooling} {why}")
    info = vectors.Info(encoder, str(pooling), layers=pooling.kind != "mix")
    dump.check_sentences()
    check_scales(store, _numbers(dump))
    with replacing(path) as part, tempfile.TemporaryFile(dir=part.parent) as scratch:
        pooled, norms = _pool_all(Pooled(dump, pooling, inputs), scratch, engine)
        corrections = {layer: _correction(pooling, rows, inputs.train) for layer, rows in pooled.items()}
        _write(pooled, corrections, part, info, norms, store)


def _numbers(dump: States) -> int:
    """Of the vectors of a sentence at all layers, as wide as the states are."""
    kinds = {name: dump.batches[0].schema.field(name).type for name in dump.batches[0].schema.names}
    lists = {name: kind for name, kind in kinds.items() if pa.types.is_fixed_size_list(kind)}
    return sum({layer_number(name): kind.list_size for name, kind in lists.items()}.values())


def _pool_all(start: Pooled, scratch: BinaryIO, engine: "Engine") -> tuple[Layers, Norms | None]:
    """The vectors of all sentences, mapped from a file (S, layers, D) in which row i is sentence i, and the norms."""
    dump = start.dump
    sums = dict.fromkeys(dump.layers, np.zeros(5))
    for sentences, pooled, of_batch in engine.each(start, range(len(dump.batches)), "pool", "batch"):
        sums = {layer: total + of_batch.get(layer, 0) for layer, total in sums.items()}
        rows = np.stack(list(pooled.values()), axis=1)
        for sentence, row in zip(sentences.tolist(), rows):
            scratch.seek(sentence * row.nbytes)
            scratch.write(row.data)
    scratch.flush()
    ordered = np.memmap(scratch, np.float32, "r").reshape(-1, *rows.shape[1:])
    layers = {layer: ordered[:, at] for at, layer in enumerate(pooled)}
    if dump.keep == "state":
        return layers, None
    means = {layer: total / len(ordered) for layer, total in sums.items()}
    return layers, norms_of(start.pooling, means, dump.of_tokens)


def _correction(pooling: Pooling, rows: np.ndarray, train: np.ndarray | None) -> Callable[[np.ndarray], np.ndarray]:
    """What becomes of the vectors of a layer (S, D) once all are known -> a function of some of them."""
    if not pooling.removes_common:
        return lambda vectors: vectors
    assert train is not None
    return without_common(rows[train])


def _write(
    pooled: Layers, corrections: dict[int, Callable], part: Path, info: vectors.Info, norms: Norms | None, store: str
) -> None:
    """Row groups of ROW_GROUP sentences, or of GROUP_BYTES where those are fewer."""
    precision = _precision_of(store, pooled, corrections)
    empty = vectors.table({layer: rows[:0] for layer, rows in pooled.items()}, precision=precision)
    with vectors.writer(part, empty.schema, info, norms, precision) as writer:
        for start, layers in _groups(pooled, corrections):
            writer.write_table(vectors.table(layers, start, precision))


def _precision_of(store: str, pooled: Layers, corrections: dict[int, Callable]) -> Precision:
    """How vectors are kept; what int8 stands for depends on all of them, so they are gone through once more."""
    if store != "int8":
        return Precision(store)
    largest = {layer: np.zeros(rows.shape[1], np.float32) for layer, rows in pooled.items()}
    for start, layers in _groups(pooled, corrections):
        for layer, rows in layers.items():
            Precision(store).check(rows, layer, start)
            largest[layer] = np.maximum(largest[layer], np.abs(rows).max(axis=0))
    return Precision(store, {layer: scales_of(of_layer) for layer, of_layer in largest.items()})


def _groups(pooled: Layers, corrections: dict[int, Callable]) -> Iterator[tuple[int, Layers]]:
    """The vectors of some sentences at a time, corrected, with the number of the first."""
    count = len(next(iter(pooled.values())))
    group = max(1, min(ROW_GROUP, GROUP_BYTES // sum(rows[0].nbytes for rows in pooled.values())))
    for start in range(0, count, group):
        yield start, {layer: corrections[layer](rows[start : start + group]) for layer, rows in pooled.items()}
