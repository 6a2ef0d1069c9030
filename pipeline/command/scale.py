"""What keeping so many sentences of a model takes, before there are any: bytes, files, hours.

All but the hours follows from the lengths of some sentences and the sizes of the model. Of as many sentences as there
are lengths it is exact, where all tokens are kept: the plan is the dump's own, and the bytes are those of its files.
"""

import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.dump.keep import KEEPS, bytes_of_row
from pipeline.dump.plan import plan_shards, rows_of
from pipeline.formats.precision import STORES
from pipeline.formats.states import record_batch

PLANNED = 50
"""shards, at least, that are planned for more sentences than there are lengths of; the others are like them"""


@dataclass(frozen=True)
class Kept:
    """What is kept of a model."""

    keep: str
    """a name of pipeline.dump.keep.KEEPS"""
    layers: list[int]
    """their numbers"""
    shape: tuple[int, ...]
    """of a vector (D,), or of a recurrent state (H, N, M)"""
    store: str
    """type of the states"""
    batch_tokens: int
    shard_mb: int

    @property
    def schema(self) -> pa.Schema:
        """Of a shard."""
        return KEEPS[self.keep].schema(self.layers, self.shape, self.store)

    @property
    def numbers(self) -> int:
        """Of the vectors of a sentence, over all layers."""
        return len(self.layers) * math.prod(self.shape)


@dataclass(frozen=True)
class Cost:
    """What some sentences take."""

    sentences: int
    tokens: int
    """of them"""
    rows: int
    """of their states"""
    shards: int
    states: int
    """bytes of the shards"""
    scratch: int
    """bytes of the file in which the stage pool puts vectors in order, beside its result"""
    vectors: int
    """bytes of the numbers of data/pooled, in the type of pool.store"""

    def hours(self, tokens: float, written: float) -> tuple[float, float]:
        """Hours of one device that reads `tokens` a second, and of one writer of so many bytes a second.

        A dump writes behind its computing, so it takes the larger of both.
        """
        return self.tokens / tokens / 3600, self.states / written / 3600


def cost(kept: Kept, lengths: np.ndarray, sentences: int, pool_store: str = "float32") -> Cost:
    """What `sentences` take that are as long as these (n,), in tokens."""
    keep, shard_rows = KEEPS[kept.keep], max(1, kept.shard_mb * 10**6 // bytes_of_row(kept.schema))
    repeated = math.ceil(PLANNED * shard_rows / keep.rows(lengths).sum())
    some = np.resize(lengths, min(sentences, max(1, repeated) * len(lengths)))
    rows = keep.rows(some)
    plan = plan_shards(some, rows, kept.batch_tokens, shard_rows, None, keep.record_rows)
    states = sum(shard_bytes(kept.schema, [[rows_of(record, rows) for record in shard] for shard in plan]))
    times, numbers = sentences / len(some), sentences * kept.numbers
    return Cost(
        sentences,
        round(times * int(some.sum())),
        round(times * int(rows.sum())),
        math.ceil(times * len(plan)),
        round(times * states),
        4 * numbers,
        np.dtype(STORES[pool_store]).itemsize * numbers,
    )


def shard_bytes(schema: pa.Schema, shards: list[list[int]]) -> list[int]:
    """Bytes of the Arrow files of some shards, of columns of fixed width: given are the rows of each record batch."""
    of_file, of_record = _framing(schema)
    return [of_file + sum(of_record + _body(schema, rows) for rows in records) for records in shards]


def _body(schema: pa.Schema, rows: int) -> int:
    """Bytes of the columns of a record batch; each begins at a multiple of 8."""
    return sum(-(-rows * bytes_of_row(pa.schema([field])) // 8) * 8 for field in schema)


def _framing(schema: pa.Schema) -> tuple[int, int]:
    """Bytes of a file beside its columns: those of the file, and those of each record batch."""
    columns = []
    for field in schema:
        is_list = pa.types.is_fixed_size_list(field.type)
        kind = field.type.value_type if is_list else field.type
        columns.append(np.zeros((1, field.type.list_size) if is_list else 1, kind.to_pandas_dtype()))
    sizes = []
    for batches in (1, 2):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, schema) as writer:
            for _ in range(batches):
                writer.write_batch(record_batch(columns, schema))
        sizes.append(sink.getvalue().size)
    of_record = sizes[1] - sizes[0]
    return sizes[0] - of_record, of_record - _body(schema, 1)
