"""Contract C3: token states as uncompressed Arrow IPC files, `data/states/MODEL/shard-00000.arrow` ..., of dump.

A row is a token that is pooled, all tokens where there is no template: sentence_id (int64), position among those of its
sentence (int32), and one column layer_00, layer_01, ... of fixed-size lists of D float16 (or float32) for each layer. A
sentence is never split over record batches. Files are named in the order of the plan, and the manifest, outside the
folder, has the length and the sha256 of each. `dumps` reads and checks a folder.
"""

import numpy as np
import pyarrow as pa

from pipeline.formats.arrays import to_arrow, to_numpy

STORES = {"float16": np.float16, "float32": np.float32}


def layer_name(layer: int) -> str:
    """The column of a layer: its number, in two digits at least so that names sort."""
    return f"layer_{layer:02d}"


def layer_number(name: str) -> int:
    """The layer of a column, the opposite of `layer_name`; also of `layer_03_max`."""
    return int(name.split("_")[1])


def schema(layers: list[int], dim: int, store: str) -> pa.Schema:
    """Arrow schema for layer numbers, hidden size and stored type (a key of STORES)."""
    states = pa.list_(pa.from_numpy_dtype(STORES[store]), dim)
    return pa.schema(
        [("sentence_id", pa.int64()), ("position", pa.int32()), *((layer_name(layer), states) for layer in layers)]
    )


def record_batch(columns: list[np.ndarray], schema: pa.Schema) -> pa.RecordBatch:
    """One array for each field of the schema, (rows,) or (rows, D) -> a record batch that shares their memory."""
    arrays = []
    for column in columns:
        flat = to_arrow(column.reshape(-1))
        arrays.append(pa.FixedSizeListArray.from_arrays(flat, column.shape[1]) if column.ndim == 2 else flat)
    return pa.record_batch(arrays, schema=schema)


def holds_tokens(batch: pa.RecordBatch) -> bool:
    """Whether the rows of a record batch are tokens rather than sentences with statistics."""
    return "position" in batch.schema.names


def layer(batch: pa.RecordBatch, name: str) -> np.ndarray:
    """One layer of a record batch as a (tokens, D) view of the mapped file, in the stored type."""
    return values(batch[name])


def values(column: pa.FixedSizeListArray) -> np.ndarray:
    """A column of fixed-size lists as a (rows, D) view of its memory."""
    start = column.offset
    return to_numpy(column.values).reshape(-1, column.type.list_size)[start : start + len(column)]


def sentence_starts(batch: pa.RecordBatch | pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Where the sentences of a batch of tokens begin -> sentence_ids (S,), starts (S + 1,), the last being the rows."""
    ids = to_numpy(batch["sentence_id"])
    starts = np.flatnonzero(np.diff(ids, prepend=ids[0] - 1))
    return ids[starts], np.append(starts, len(ids))


def sentences_of(batch: pa.RecordBatch) -> np.ndarray:
    """The sentence ids of a record batch of either kind, each once -> (S,)."""
    return sentence_starts(batch)[0] if holds_tokens(batch) else to_numpy(batch["sentence_id"])
