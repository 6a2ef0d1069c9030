"""Contract C4: sentence vectors as Parquet that every tool loads in one line.

A row is a sentence; columns sentence_id (int64) and layer_00 ... of fixed-size lists of D float32, a column for each layer
that was kept, named by its number.
"""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import shards
from pipeline.files import replacing


def table(sentence_ids, layers, info):
    """(S,) ids and {layer number: (S, D) array} -> a table of C4 with `info` in its metadata."""
    columns = {"sentence_id": pa.array(sentence_ids, pa.int64())}
    for layer, vectors in layers.items():
        flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1))
        columns[shards.layer_name(layer)] = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    return pa.table(columns).replace_schema_metadata({"drillcore": json.dumps(info, sort_keys=True)})


def write(path, sentence_ids, layers, info):
    with replacing(path) as part:
        pq.write_table(table(sentence_ids, layers, info), part, compression="none", use_dictionary=False)


def read_info(path):
    """(info, layer numbers) of a file of vectors."""
    schema = pq.read_schema(path)
    return json.loads(schema.metadata[b"drillcore"]), [shards.layer_number(name) for name in schema.names if name != "sentence_id"]


def read_layer(path, layer):
    """One layer, by its number, as (S, D) float32 with row i = sentence_id i. ValueError when ids are missing or repeated."""
    read = pq.read_table(path, columns=["sentence_id", shards.layer_name(layer)])
    ids, rows = read["sentence_id"].to_numpy(), rows_of(read, layer)
    if not np.array_equal(np.sort(ids), np.arange(len(ids))):
        raise ValueError(f"{path}: its {len(ids)} sentence ids are not 0 to {len(ids) - 1}, each once: run the pool stage again")
    found = np.empty_like(rows)
    found[ids] = rows
    return found


def rows_of(table, layer):
    """One layer of a table of C4 as (S, D) float32, in the table's order."""
    return shards.values(table[shards.layer_name(layer)].combine_chunks())
