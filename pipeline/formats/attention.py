"""Where the first run of learned attention looked: `data/sweeps/MODEL/attention.parquet`, a row for each token.

Columns sentence_id (int64), position (int32), and layer_00 ... (float32), weights that sum to 1 over a sentence.
Without learned attention it has no layers and no rows.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.formats import parquet
from pipeline.formats.damage import damaged
from pipeline.formats.states import layer_name, sentence_starts


def schema(layers: list[int]) -> pa.Schema:
    """The columns for some layers."""
    weights = [(layer_name(layer), pa.float32()) for layer in layers]
    return pa.schema([("sentence_id", pa.int64()), ("position", pa.int32()), *weights])


def writer(path: Path, layers: list[int], model: str) -> pq.ParquetWriter:
    """A writer of row groups of whole sentences."""
    return parquet.writer(path, schema(layers), {"encoder": model})


def read(path: str | Path, layer: int, model: str) -> dict[int, np.ndarray]:
    """{sentence_id: (T,) weights} at a layer, {} where the file does not have it."""
    stage, name = f"sweep@{model}", layer_name(layer)
    file = parquet.open_file(path, stage)
    parquet.facts_of(file, path, stage, model)
    if name not in file.schema_arrow.names:
        return {}
    table = parquet.read_columns(file, path, stage, ["sentence_id", name])
    if not table.num_rows:
        raise damaged(path, "has no rows", stage)
    ids, starts = sentence_starts(table)
    return dict(zip(ids.tolist(), np.split(table[name].to_numpy(), starts[1:-1])))
