"""Running sums of many columns of weights, in the order of some scores: the inner loop of `weighted`.

The order is gone through in blocks of ranks that stay in the cache, so that a rank among a million takes no longer than
one among thousands. What is looked up in each block depends on the scores alone.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pipeline.stats.ranks import Order

CELLS = 1 << 18
"""ranks times columns in a block"""
LEVELS = 32
"""neighbouring ranks that are summed without waiting for the ranks before them (`RunningSums`)"""


@dataclass(frozen=True)
class Lookups:
    """Running sums of a block that are wanted, each for a pair."""

    pairs: np.ndarray
    """(R,) numbers of the pairs"""
    places: np.ndarray
    """(R,) rows of the block's sums"""


@dataclass(frozen=True)
class Block:
    """Ranks in a row, and which of their sums are looked up: W(<) of the scores below one, W(<=) of those not above."""

    layout: np.ndarray
    """the numbers of their pairs, as `RunningSums` wants them"""
    lone: Lookups
    """W(<=) of pairs with a score of their own; W(<) is less by the weight"""
    upto: Lookups
    """W(<=) of pairs with tied scores"""
    below: Lookups
    """W(<) of pairs with tied scores"""
    starts: np.ndarray
    """places of W(<) of the groups of scores that start here"""
    ends: np.ndarray
    """places of W(<=) of the groups that end here"""


def blocks_of(order: Order, looked_up: np.ndarray, groups: np.ndarray, columns: int) -> list[Block]:
    """The blocks of an order of n values, for sums of so many columns.

    looked_up (n,) bool: the pairs whose W(<=) and W(<) are wanted; groups (G,) bool: the groups whose sums are.
    """
    n = len(order.order)
    length = math.ceil(n / math.ceil(n * columns / CELLS) / LEVELS)
    count = math.ceil(n / (length * LEVELS))
    padded = np.zeros(count * length * LEVELS, np.int32)  # what is summed beyond the n is never looked up
    padded[:n] = order.order
    pairs = order.order[looked_up[order.order]].astype(np.int32)
    is_tied = (order.sizes > 1)[order.group[pairs]]
    lone, tied = pairs[~is_tied], pairs[is_tied]
    places = zip(
        _by_block(order.ends[order.group[lone]], 1, length, count, lone),
        _by_block(order.ends[order.group[tied]], 1, length, count, tied),
        _by_block(order.starts[order.group[tied]], 0, length, count, tied),
        _by_block(order.starts[groups], 0, length, count),
        _by_block(order.ends[groups], 1, length, count),
    )
    layouts = padded.reshape(count, length, LEVELS).swapaxes(1, 2).reshape(count, -1)
    return [
        Block(layout, Lookups(*of_lone), Lookups(*upto), Lookups(*below), *starts, *ends)
        for layout, (of_lone, upto, below, starts, ends) in zip(layouts, places)
    ]


def _by_block(
    counts: np.ndarray, fewest: int, length: int, blocks: int, *beside: np.ndarray
) -> Iterator[tuple[np.ndarray, ...]]:
    """The places of the sums of the first `counts` weights in an order, (R,) ascending, and what is beside them (R,),
    divided by the block that holds the sum. A block's sums are of `fewest` of its own weights at least.
    """
    size = length * LEVELS
    own = (counts - fewest) % size + fewest
    level, at = (own - 1) % LEVELS, (own - 1) // LEVELS
    places = np.where(own > 0, level * length + at, size).astype(np.int32)
    borders = np.searchsorted(counts, np.arange(1, blocks) * size + fewest)
    return zip(*(np.split(array, borders) for array in (*beside, places)))


class RunningSums:
    """Running sums of n rows of weights, for B resamples at once, in any order of the rows.

    Row after row, each addition would wait for the one before it. So row p of a block is kept at level p % LEVELS, and
    whole levels are added to each other: level 1 then holds sums of two neighbours, level 2 of three, and so on. What
    is missing is the sum of all earlier rows, a running sum of the last level. Behind the levels is a last row, the sum
    of all earlier blocks.
    """

    def __init__(self, weights: np.ndarray, ranks: int) -> None:
        """weights (n, B) of whole numbers; ranks: how many a block has."""
        self.weights = weights
        self.total = weights.sum(axis=0, dtype=np.float64)  # N, (B,)
        kind = np.uint16 if self.total.max(initial=0) < 1 << 16 else np.uint32
        self.taken = np.empty((ranks, weights.shape[1]), weights.dtype)
        self.sums = np.empty((ranks + 1, weights.shape[1]), kind)

    def walk(self, blocks: list[Block]) -> Iterator[tuple[Block, np.ndarray, np.ndarray]]:
        """Sum the weights block by block; with each block W(<) and W(<=), (G, B) each, of the groups that end there."""
        self.sums[-2] = 0
        unfinished = self.sums[:0]  # W(<) of the group that goes on in the next block, if one does
        for block in blocks:
            self._fill(block.layout)
            below, upto = np.concatenate([unfinished, self.sums[block.starts]]), self.sums[block.ends]
            yield block, below[: len(upto)], upto
            unfinished = below[len(upto) :]

    def _fill(self, layout: np.ndarray) -> None:
        self.sums[-1] = self.sums[-2]
        np.take(self.weights, layout, axis=0, out=self.taken, mode="clip")  # "raise" would copy once more
        np.copyto(self.sums[:-1], self.taken, casting="unsafe")
        levels = self.sums[:-1].reshape(LEVELS, -1, self.sums.shape[1])
        for earlier, level in pairwise(levels):
            level += earlier
        before = np.concatenate([self.sums[-1:], levels[-1, :-1]])
        levels += np.cumsum(before, axis=0, dtype=before.dtype)

    def product(self, factors: np.ndarray, wanted: Lookups) -> np.ndarray:
        """sum_i factors_i sums_i of what is looked up in the block at hand: factors of all pairs (n, B) -> (B,)."""
        product = np.zeros(len(self.total))
        for start in range(0, len(wanted.pairs), len(self.taken)):  # a large group of ties may be looked up at once
            part = slice(start, start + len(self.taken))
            sums = np.take(self.sums, wanted.places[part], axis=0, mode="clip")
            rows = np.take(factors, wanted.pairs[part], axis=0, mode="clip")
            product += np.einsum("nb,nb->b", rows, sums, dtype=np.float64)
        return product
