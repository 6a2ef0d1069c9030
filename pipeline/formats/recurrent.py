"""The recurrent state after the last token of a sentence: what a dump keeps with `dump.keep: state`.

A row is a sentence: sentence_id (int64), tokens (int32), and for each block l from 1 one column `layer_01_state` ... of
fixed-size lists of H N M float16 (or float32): H matrices of N rows, those of keys in RWKV, and M columns, those of
values, row after row. There is no layer 0: the embedding has no state. The metadata of each column gives `shape`, such
as 6,32,32. A model whose state is one matrix, such as Mamba's of channels by states, has H = 1.
"""

import numpy as np
import pyarrow as pa

from pipeline.formats import states

SHAPE = b"shape"
"""key of a column's metadata"""
SUFFIX = "state"


def schema(layers: list[int], shape: tuple[int, ...], store: str) -> pa.Schema:
    """Arrow schema for layer numbers, the shape (H, N, M) of a state and its stored type."""
    kind = pa.list_(pa.from_numpy_dtype(states.STORES[store]), int(np.prod(shape)))
    metadata = {SHAPE: ",".join(map(str, shape)).encode()}
    columns = [pa.field(f"{states.layer_name(layer)}_{SUFFIX}", kind, metadata=metadata) for layer in layers]
    return pa.schema([pa.field("sentence_id", pa.int64()), pa.field("tokens", pa.int32()), *columns])


def held_by(batch: pa.RecordBatch) -> bool:
    """Whether the rows of a record batch are sentences with their recurrent states."""
    return batch.schema.names[-1].endswith(f"_{SUFFIX}")


def read(batch: pa.RecordBatch, name: str) -> np.ndarray:
    """One layer (`layer_01`) of a record batch, a view (S, H, N, M) of the mapped file in the stored type."""
    column = f"{name}_{SUFFIX}"
    shape = tuple(int(size) for size in batch.schema.field(column).metadata[SHAPE].split(b","))
    return states.values(batch[column]).reshape(-1, *shape)
