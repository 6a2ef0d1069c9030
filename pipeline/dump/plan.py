"""Which sentences share a forward pass, a record batch and a shard.

It depends on settings, lengths and spans alone. A span is what is kept of a sentence: the first of its tokens and the
one after the last.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np

from pipeline.formats.ragged import Ragged

RECORD_ROWS = 4000
"""a record batch is closed at about so many rows"""

Pass = np.ndarray
"""indices of sentences of one exact length and one span, which are run at once"""
RecordPlan = list[Pass]
"""the passes of a record batch"""
ShardPlan = list[RecordPlan]
"""the record batches of a shard"""


@dataclass(frozen=True, eq=False)
class Plan(Sequence[ShardPlan]):
    """The shards of a dump in a few arrays: a shard is made of them when it is asked for."""

    passes: Ragged
    """the sentences of each"""
    records: np.ndarray
    """the first pass of each record batch, and the number of passes"""
    shards: np.ndarray
    """the first record batch of each shard, and the number of record batches"""

    def __len__(self) -> int:
        return len(self.shards) - 1

    def rows_of_records(self, rows: np.ndarray) -> np.ndarray:
        """Rows of each record batch, given those of each sentence (S,)."""
        starts = self.passes.offsets[self.records[:-1]]
        return np.add.reduceat(rows[self.passes.values], starts, dtype=np.int64)

    def __getitem__(self, number: int) -> ShardPlan:  # type: ignore[override]  # no slices
        number = range(len(self))[number]  # which raises IndexError, as a list does
        first, end = self.shards[number : number + 2]
        return [[self.passes[i] for i in range(*bounds)] for bounds in pairwise(self.records[first : end + 1].tolist())]


def plan_shards(
    lengths: np.ndarray,
    rows: np.ndarray,
    batch_tokens: int,
    shard_rows: int,
    spans: np.ndarray | None = None,
    record_rows: int = RECORD_ROWS,
) -> Plan:
    """The shards of a dump: record batches of forward passes, each sentence in one of them, shortest first.

    lengths (S,): tokens of each sentence; rows (S,): rows that each takes of a shard, which follow from length and
    span; spans (S, 2), None where all tokens are kept. A pass holds at most `batch_tokens` tokens, a shard `shard_rows`
    rows and a record batch `record_rows`, unless a single sentence has more.
    """
    record_rows = min(record_rows, shard_rows)
    shapes = [lengths] if spans is None else [lengths, *spans.T]
    order = np.lexsort(shapes[::-1])  # those of one shape stay in order
    firsts = _first_of_each(shapes, order)
    tokens_each, rows_each = (values[order[firsts]].astype(np.int64) for values in (lengths, rows))
    sizes = np.minimum(batch_tokens // tokens_each, record_rows // rows_each).clip(1)
    starts = chain.from_iterable(map(range, firsts, np.append(firsts[1:], len(order)), sizes))
    passes = np.fromiter(chain(starts, [len(order)]), np.int64)
    of_passes = np.add.reduceat(rows[order], passes[:-1], dtype=np.int64)
    records = _grouped(of_passes, record_rows)
    shards = _grouped(np.add.reduceat(of_passes, records[:-1]), shard_rows)
    small = np.int32 if len(order) < 1 << 31 else np.int64
    return Plan(Ragged(order.astype(small), passes), records, shards)


def rows_of(record: RecordPlan, rows: np.ndarray) -> int:
    """Rows of a record batch, given those of each sentence (S,)."""
    return sum(int(rows[sentences].sum()) for sentences in record)


def sentences_of(shard: ShardPlan) -> np.ndarray:
    """Indices of the sentences of a shard, in the order of its rows."""
    return np.concatenate(list(chain.from_iterable(shard)))


def _first_of_each(shapes: Sequence[np.ndarray], order: np.ndarray) -> np.ndarray:
    """Where each shape begins in an order (S,) that sorts by shapes, arrays (S,)."""
    begins = np.zeros(len(order), dtype=bool)
    begins[0] = True
    for values in shapes:
        in_order = values[order]
        begins[1:] |= in_order[1:] != in_order[:-1]
    return np.flatnonzero(begins)


def _grouped(sizes: np.ndarray, budget: int) -> np.ndarray:
    """Group items of these sizes (n,) in order, closing a group before it would pass the budget -> the first item of
    each group, and n.
    """
    ends = np.cumsum(sizes)

    def firsts() -> Iterator[int]:
        first, used = 0, 0
        while first < len(sizes):
            yield first
            first = max(first + 1, int(ends.searchsorted(used + budget, "right")))
            used = int(ends[first - 1])
        yield first

    return np.fromiter(firsts(), np.int64)
