"""Token states -> sentence vectors: the poolings, and contract C4 (vectors as Parquet that every tool loads in one line).

C4: a row is a sentence, columns sentence_id (int64) and layer_00 ... of fixed-size lists of D float32.
"""

import json
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import shards
from pipeline.files import replacing

ROW_GROUP = 1024  # sentences that are held in memory at once


def mean(h):
    """(T, D) -> (D,): sum_t h_t / T."""
    return h.mean(axis=0)


def last(h):
    """(T, D) -> (D,): h_T, the only token of a causal model that has seen the whole sentence."""
    return h[-1]


def first(h):
    """(T, D) -> (D,): h_1. In a causal model it has seen itself alone."""
    return h[0]


def max(h):
    """(T, D) -> (D,): the largest value of each dimension."""
    return h.max(axis=0)


def weighted_mean(h):
    """(T, D) -> (D,): sum_t t h_t / sum_t t, t = 1..T, so that later tokens, which saw more, count more (SGPT, arXiv 2202.08904)."""
    weights = np.arange(1, len(h) + 1, dtype=h.dtype)
    return weights @ h / weights.sum()


POOLINGS = {"mean": mean, "last": last, "first": first, "max": max, "weighted_mean": weighted_mean}


def pooling_of(name):
    """A pooling by name. ValueError that lists them."""
    if name not in POOLINGS:
        raise ValueError(f"pooling is {name!r}, expected one of {', '.join(POOLINGS)}")
    return POOLINGS[name]


def pool_batch(batch, name, pooling):
    """One layer of a record batch -> (S, D) float32, a row a sentence."""
    states = shards.layer(batch, name).astype(np.float32)
    _, starts = shards.sentence_starts(batch)
    return np.stack([pooling(states[a:b]) for a, b in pairwise(starts)])


def pool(folder, pooling, out, info):
    """A folder of shards -> one Parquet file of vectors. Record batch by record batch, one layer at a time, in bounded memory.

    `info` (encoder, pooling) goes into the file's metadata. Rows are in the order of the dump, shortest sentence first.
    Raises ValueError for a pooling that POOLINGS does not have and FileNotFoundError for a folder without shards.
    """
    function, held, writer = pooling_of(pooling), [], None
    with replacing(out) as part:
        for batch in shards.record_batches(folder):
            ids, _ = shards.sentence_starts(batch)
            held.append((ids, [pool_batch(batch, name, function) for name in batch.schema.names[2:]]))
            if sum(len(ids) for ids, _ in held) >= ROW_GROUP:
                writer = _flush(held, part, info, writer)
        if held:
            writer = _flush(held, part, info, writer)
        if writer is None:
            raise FileNotFoundError(f"no shards in {folder}: run the dump stage first")
        writer.close()


def _flush(held, part, info, writer):
    layers = [np.concatenate(parts) for parts in zip(*(layers for _, layers in held))]
    table = vector_table(np.concatenate([ids for ids, _ in held]), layers, info)
    writer = writer or pq.ParquetWriter(part, table.schema, compression="none", use_dictionary=False)
    writer.write_table(table)
    held.clear()
    return writer


def vector_table(sentence_ids, layers, info):
    """(S,) ids and one (S, D) array a layer -> a table of C4 with `info` in its metadata."""
    columns = {"sentence_id": pa.array(sentence_ids, pa.int64())}
    for layer, vectors in enumerate(layers):
        flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1))
        columns[shards.layer_name(layer)] = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    return pa.table(columns).replace_schema_metadata({"drillcore": json.dumps(info, sort_keys=True)})


def write_vectors(path, sentence_ids, layers, info):
    with replacing(path) as part:
        pq.write_table(vector_table(sentence_ids, layers, info), part, compression="none", use_dictionary=False)


def read_info(path):
    """(info, layer names) of a file of vectors."""
    schema = pq.read_schema(path)
    return json.loads(schema.metadata[b"drillcore"]), [name for name in schema.names if name != "sentence_id"]


def read_layer(path, name):
    """One layer as (S, D) float32 with row i = sentence_id i. ValueError when ids are missing or repeated."""
    table = pq.read_table(path, columns=["sentence_id", name])
    ids, column = table["sentence_id"].to_numpy(), table[name].combine_chunks()
    if not np.array_equal(np.sort(ids), np.arange(len(ids))):
        raise ValueError(f"{path}: its {len(ids)} sentence ids are not 0 to {len(ids) - 1}, each once: run the pool stage again")
    vectors = np.empty((len(ids), column.type.list_size), dtype=np.float32)
    vectors[ids] = column.flatten().to_numpy().reshape(len(ids), -1)
    return vectors
