"""Contract C3: token states as a folder of uncompressed Arrow IPC files, read by memory map.

A row is a token: sentence_id (int64), position (int32), and one column layer_00, layer_01, ... of fixed-size lists of D
float16 (or float32) for each layer. A sentence is never split over record batches. Files are named in the order of the plan.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

STORES = {"float16": np.float16, "float32": np.float32}


def layer_name(layer):
    """The column of a layer: its number, in two digits at least so that names sort."""
    return f"layer_{layer:02d}"


def layer_number(name):
    """The layer of a column, the opposite of `layer_name`."""
    return int(name.split("_")[1])


def schema(layers, dim, store):
    """Arrow schema for the given layer numbers, hidden size and stored type (a key of STORES)."""
    states = pa.list_(pa.from_numpy_dtype(STORES[store]), dim)
    return pa.schema([("sentence_id", pa.int64()), ("position", pa.int32()), *((layer_name(layer), states) for layer in layers)])


def record_batch(columns, schema):
    """One array for each field of the schema, (rows,) or (rows, D) -> a record batch that shares their memory."""
    flat = [pa.array(one.reshape(-1)) for one in columns]
    arrays = [pa.FixedSizeListArray.from_arrays(a, one.shape[1]) if one.ndim == 2 else a for a, one in zip(flat, columns)]
    return pa.record_batch(arrays, schema=schema)


def open_shard(path):
    """A memory-mapped reader of one shard. `get_batch(i)` copies nothing, and touches only the columns that are used."""
    return pa.ipc.open_file(pa.memory_map(str(path)))


def record_batches(folder):
    """All record batches of a folder of shards, in the order of the plan. ValueError names a shard that cannot be read."""
    for path in sorted(Path(folder).glob("*.arrow")):
        try:
            reader = open_shard(path)
        except (OSError, pa.ArrowInvalid) as error:
            raise ValueError(f"{path} is not a whole shard ({error}): run the dump stage again") from error
        for i in range(reader.num_record_batches):
            yield reader.get_batch(i)


def layer(batch, name):
    """One layer of a record batch as a (tokens, D) view of the mapped file, in the stored type."""
    return values(batch[name])


def values(column):
    """A column of fixed-size lists as a (rows, D) view of its memory."""
    return column.values.to_numpy().reshape(-1, column.type.list_size)[column.offset : column.offset + len(column)]


def sentence_starts(batch):
    """Where each sentence of a record batch begins -> (sentence_ids (S,), starts (S + 1,)), the last start being the number of rows."""
    ids = batch["sentence_id"].to_numpy()
    starts = np.flatnonzero(np.diff(ids, prepend=ids[0] - 1))
    return ids[starts], np.append(starts, len(ids))
