"""Contract C3: token states as a folder of uncompressed Arrow IPC files, read by memory map.

A row is a token: sentence_id (int64), position (int32), and one column layer_00, layer_01, ... of fixed-size lists of D
float16 (or float32) for each layer. A sentence is never split over record batches. Files are named in the order of the plan.
"""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.files import replacing

STORES = {"float16": np.float16, "float32": np.float32}


def layer_name(layer):
    return f"layer_{layer:02d}"


def schema(layers, dim, store):
    """Arrow schema for the given layer numbers, hidden size and stored type (a key of STORES)."""
    states = pa.list_(pa.from_numpy_dtype(STORES[store]), dim)
    return pa.schema([("sentence_id", pa.int64()), ("position", pa.int32()), *((layer_name(layer), states) for layer in layers)])


def record_batch(sentence_ids, positions, states, schema):
    """(tokens,), (tokens,), one (tokens, D) array a layer -> a record batch."""
    dim = schema.field(2).type.list_size
    columns = [pa.FixedSizeListArray.from_arrays(pa.array(one.reshape(-1)), dim) for one in states]
    return pa.record_batch([pa.array(sentence_ids), pa.array(positions), *columns], schema=schema)


def write_shard(path, batches, schema):
    """Write record batches as they come, under a temporary name, then flush and move: a file with its final name is whole."""
    with replacing(path) as part, part.open("wb") as sink:
        with pa.ipc.new_file(sink, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
        sink.flush()
        os.fsync(sink.fileno())


def open_shard(path):
    """A memory-mapped reader of one shard. `get_batch(i)` copies nothing, and touches only the columns that are used."""
    return pa.ipc.open_file(pa.memory_map(str(path)))


def is_whole(path, schema, sentence_ids):
    """Whether a file is a finished shard with this schema that holds exactly these sentences in this order."""
    try:
        reader = open_shard(path)
        if reader.schema != schema:
            return False
        held = [np.unique(reader.get_batch(i)["sentence_id"].to_numpy()) for i in range(reader.num_record_batches)]
    except (OSError, pa.ArrowInvalid):
        return False
    return np.array_equal(np.sort(np.concatenate(held)) if held else [], np.sort(sentence_ids))


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
    column = batch[name]
    return column.values.to_numpy().reshape(-1, column.type.list_size)[column.offset : column.offset + len(column)]


def sentence_starts(batch):
    """Where each sentence of a record batch begins -> (sentence_ids (S,), starts (S + 1,)), the last start being the number of rows."""
    ids = batch["sentence_id"].to_numpy()
    starts = np.flatnonzero(np.diff(ids, prepend=ids[0] - 1))
    return ids[starts], np.append(starts, len(ids))
