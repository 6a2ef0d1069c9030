"""Which sentences share a forward pass, a record batch and a shard.

It depends on settings, lengths and spans alone. A span is what is kept of a sentence: the first of its tokens and the
one after the last.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

RECORD_ROWS = 4000
"""a record batch is closed at about so many rows"""

Pass = np.ndarray
"""indices of sentences of one exact length and one span, which are run at once"""
RecordPlan = list[Pass]
"""the passes of a record batch"""
ShardPlan = list[RecordPlan]
"""the record batches of a shard"""

Item = TypeVar("Item")


def plan_shards(
    lengths: np.ndarray,
    rows: np.ndarray,
    batch_tokens: int,
    shard_rows: int,
    spans: np.ndarray | None = None,
    record_rows: int = RECORD_ROWS,
) -> list[ShardPlan]:
    """The shards of a dump: record batches of forward passes, each sentence in one of them, shortest first.

    lengths (S,): tokens of each sentence; rows (S,): rows that each takes of a shard; spans (S, 2), None where all
    tokens are kept. A pass holds at most `batch_tokens` tokens, a shard `shard_rows` rows and a record batch
    `record_rows`, unless a single sentence has more.
    """
    record_rows = min(record_rows, shard_rows)
    shapes = np.column_stack([lengths] if spans is None else [lengths, spans])
    order = np.lexsort((np.arange(len(lengths)), *shapes.T[::-1]))
    first_of_shape = np.flatnonzero(np.diff(shapes[order], axis=0).any(axis=1)) + 1
    passes: RecordPlan = []
    for same_shape in np.split(order, first_of_shape):
        first = same_shape[0]
        size = max(1, min(batch_tokens // int(lengths[first]), record_rows // int(rows[first])))
        passes += [same_shape[start : start + size] for start in range(0, len(same_shape), size)]
    records = _grouped(passes, record_rows, lambda sentences: int(rows[sentences].sum()))
    return _grouped(records, shard_rows, lambda record: rows_of(record, rows))


def rows_of(record: RecordPlan, rows: np.ndarray) -> int:
    """Rows of a record batch, given those of each sentence (S,)."""
    return sum(int(rows[sentences].sum()) for sentences in record)


def sentences_of(shard: ShardPlan) -> np.ndarray:
    """Indices of the sentences of a shard, in the order of its rows."""
    return np.concatenate(list(itertools.chain.from_iterable(shard)))


def _grouped(items: Sequence[Item], budget: int, size: Callable[[Item], int]) -> list[list[Item]]:
    """Group items in order, closing a group before it would pass the budget."""
    groups: list[list[Item]] = []
    used = 0
    for item in items:
        if not groups or used + size(item) > budget:
            groups.append([])
            used = 0
        groups[-1].append(item)
        used += size(item)
    return groups
