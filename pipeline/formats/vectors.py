"""Contract C4: sentence vectors as Parquet that every tool loads in one line.

A row is a sentence, in the order of sentence_id: a sentence's id is its row. Columns are sentence_id (int64) and
layer_00 ... of fixed-size lists of D float32, a column for each layer that was kept, named by its number. Models' are
`data/pooled/MODEL/vectors.parquet`, of the stage pool, and baselines' `data/baselines/NAME/vectors.parquet`. The footer
of a model's says how the norms of its states are spread (`formats.norms`). Where DRILLCORE_STORE is a URL, a model's
lie there, and the file is JSON that says where: url, bytes, sha256.

`pool.store` makes them lists of float16 or int8 (`formats.precision`). An int8 times the scale of its dimension is the
number. The footer has the scales: under the key `drillcore` JSON, in it `scales`, {layer_00: D numbers}. Readers here
give float32 whatever a file holds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.base.files import replacing
from pipeline.formats import parquet
from pipeline.formats.arrays import to_arrow, to_numpy
from pipeline.formats.damage import damaged
from pipeline.formats.norms import Norms
from pipeline.formats.precision import STORES, Precision
from pipeline.formats.states import layer_name, layer_number, values
from pipeline.storage.pointers import followed

OWN = "own"
"""the pooling of a sentence encoder that has a way of its own to make a vector"""
STORE_OF = {pa.from_numpy_dtype(kind): store for store, kind in STORES.items()}
FLOAT32 = Precision()
ROW_GROUP = 1 << 14
"""sentences of a row group of vectors that are written at once"""


@dataclass(frozen=True)
class Info:
    """Whose vectors a file holds; facts in its footer."""

    encoder: str
    """name of the model or baseline"""
    pooling: str
    """how token states (or word vectors) became one vector"""
    layers: bool
    """whether columns are layers of a model; False for one vector of several layers or of none, in layer_00"""


def table(layers: dict[int, np.ndarray], first: int = 0, precision: Precision = FLOAT32) -> pa.Table:
    """{layer number: (S, D)} of the sentences first, first + 1, ... -> a table of C4.

    InputError for a vector that the type cannot hold.
    """
    count = len(next(iter(layers.values())))
    columns = {"sentence_id": to_arrow(np.arange(first, first + count))}
    for layer, vectors in layers.items():
        precision.check(vectors, layer, first)
        flat = to_arrow(precision.reduced(vectors, layer).reshape(-1))
        columns[layer_name(layer)] = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    return pa.table(columns)


def writer(
    path: str | Path, schema: pa.Schema, info: Info, norms: Norms | None = None, precision: Precision = FLOAT32
) -> pq.ParquetWriter:
    """A writer of row groups of `table`."""
    return parquet.writer(path, schema, _facts(info, norms, precision), **_options(precision))


def write(path: str | Path, layers: dict[int, np.ndarray], info: Info) -> None:
    """All vectors at once: {layer number: (S, D) with row i = sentence_id i}."""
    vectors = table(layers)
    with replacing(path) as part, writer(part, vectors.schema, info) as sink:
        sink.write_table(vectors, row_group_size=ROW_GROUP)


def _options(precision: Precision) -> dict[str, Any]:
    """Parquet keeps int8 as int32; a dictionary of its 255 values takes that back to a byte each."""
    return {"compression": "none", "use_dictionary": precision.store == "int8"}


def _facts(info: Info, norms: Norms | None, precision: Precision) -> dict[str, Any]:
    facts: dict[str, Any] = vars(info) | {"norms": vars(norms) if norms else None}
    if precision.scales:  # each in the shortest text from which the same float32 is read
        texts = {layer_name(layer): map(str, scales) for layer, scales in precision.scales.items()}
        facts["scales"] = {name: [float(text) for text in of_layer] for name, of_layer in texts.items()}
    return facts


@dataclass(frozen=True)
class Vectors:
    """An open file of vectors."""

    path: Path
    stage: str
    """that wrote it"""
    file: pq.ParquetFile
    info: Info
    layers: list[int]
    """numbers of its columns"""
    norms: Norms | None
    """of the states that became these vectors; None for a baseline"""
    precision: Precision
    """how its numbers are kept"""

    @property
    def sentences(self) -> int:
        """How many there are, S."""
        return int(self.file.metadata.num_rows)

    def width(self, layer: int) -> int:
        """The dimensions of a layer, D."""
        return int(self.file.schema_arrow.field(layer_name(layer)).type.list_size)

    def __reduce__(self) -> tuple:
        return read, (self.path, self.stage)  # in another process: it is opened there

    def layer(self, layer: int) -> np.ndarray:
        """One layer as (S, D) float32 with row i = sentence_id i. InputError for ids that are no such numbers."""
        read = parquet.read_columns(self.file, self.path, self.stage, ["sentence_id", layer_name(layer)])
        ids, rows = to_numpy(read["sentence_id"]), self._rows_of(read, layer)
        if not len(ids) or not np.array_equal(ids, np.arange(len(ids))):
            raise damaged(
                self.path, f"has {len(ids)} sentence ids that are not 0 to {len(ids) - 1} in order", self.stage
            )
        return rows

    def rows(self, layer: int, sentences: np.ndarray) -> np.ndarray:
        """Some sentences of one layer, (N,) ascending -> (N, D) float32; a row group is in memory at a time."""
        parts, first = [], 0
        for part in self.parts(layer):
            here = sentences[(sentences >= first) & (sentences < first + len(part))]
            parts.append(part[here - first])
            first += len(part)
        return np.concatenate(parts)

    def parts(self, layer: int) -> Iterator[np.ndarray]:
        """One layer in parts (n, D) float32, one row group behind the other: a part is in memory at a time."""
        first = 0
        for group in range(self.file.num_row_groups):
            read = parquet.read_columns(self.file, self.path, self.stage, ["sentence_id", layer_name(layer)], group)
            ids = to_numpy(read["sentence_id"])
            if not np.array_equal(ids, np.arange(first, first + len(ids))):
                raise damaged(self.path, f"has sentence ids that do not go on from {first} in order", self.stage)
            first += len(ids)
            yield self._rows_of(read, layer)

    def _rows_of(self, table: pa.Table, layer: int) -> np.ndarray:
        """One layer of what was read as (S, D) float32, in its order."""
        return self.precision.restored(values(table[layer_name(layer)].combine_chunks()), layer)


def read(path: str | Path, stage: str) -> Vectors:
    """A file of vectors that a stage (such as pool@demo) wrote; one that lies in a store is fetched."""
    file = parquet.open_file(followed(path, stage), stage)
    facts: dict[str, Any] = parquet.facts_of(file, path, stage)
    names = [name for name in file.schema_arrow.names if name != "sentence_id"]
    kinds = [file.schema_arrow.field(name).type for name in names]
    fits = all(pa.types.is_fixed_size_list(kind) and kind.value_type in STORE_OF for kind in kinds)
    if not fits or not names or file.schema_arrow.field(0).type != pa.int64():
        raise damaged(
            path, f"has columns {', '.join(file.schema_arrow.names)}, expected sentence_id, layer_00 ...", stage
        )
    norms = facts.pop("norms", None)
    scales = {
        layer_number(name): np.asarray(of_layer, np.float32) for name, of_layer in facts.pop("scales", {}).items()
    }
    precision = Precision(STORE_OF[kinds[0].value_type], scales)
    layers = [layer_number(name) for name in names]
    return Vectors(Path(path), stage, file, Info(**facts), layers, Norms(**norms) if norms else None, precision)
