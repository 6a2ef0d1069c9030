"""Running sums of many columns of weights, in the order of some scores: the inner loop of `weighted`."""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pipeline.stats.ranks import Order

LEVELS = 32
"""neighbouring rows that are summed without waiting for the rows before them (`RunningSums`)"""


@dataclass(frozen=True)
class Places:
    """Where the running sums of a row of scores are found in `RunningSums`."""

    layout: np.ndarray
    """the numbers of the pairs in the order of the scores, as `RunningSums.fill` wants them"""
    upto: np.ndarray
    """place of W(<=) for each pair that is looked up"""
    below: np.ndarray
    """place of W(<) for each of them"""
    tied: np.ndarray
    """(n,) whether another pair has the same score"""
    starts: np.ndarray
    """(G,) place of W(<) of each group of equal scores"""
    ends: np.ndarray
    """(G,) place of W(<=)"""

    @classmethod
    def of(cls, order: Order, looked_up: np.ndarray, groups: np.ndarray) -> "Places":
        """looked_up: the numbers of some pairs; groups: of the G groups that are wanted."""
        n, length = len(order.order), math.ceil(len(order.order) / LEVELS)
        padded = np.append(order.order, np.full(length * LEVELS - n, n))  # row n of the weights is 0
        starts, ends = _place(order.starts, length), _place(order.ends, length)
        group = order.group[looked_up]
        return cls(
            layout=padded.reshape(length, LEVELS).T.ravel(),
            upto=ends[group],
            below=starts[group],
            tied=order.sizes[order.group] > 1,
            starts=starts[groups],
            ends=ends[groups],
        )


def _place(count: np.ndarray, length: int) -> np.ndarray:
    """The row of `RunningSums` that holds the sum of the first `count` weights; the last row is 0."""
    level, at = (count - 1) % LEVELS, (count - 1) // LEVELS
    return np.where(count > 0, level * length + at, LEVELS * length)


class RunningSums:
    """Running sums of n rows of weights, for B resamples at once, in any order of the rows.

    Row after row, each addition would wait for the one before it. So row p of the order is kept at level p % LEVELS,
    and whole levels are added to each other: level 1 then holds sums of two neighbours, level 2 of three, and so on.
    What is missing is the sum of all earlier rows, a running sum of the last level.
    """

    def __init__(self, weights: np.ndarray) -> None:
        n, columns = weights.shape
        self.total = weights.sum(axis=0, dtype=np.float64)  # N, (B,)
        kind = np.uint16 if self.total.max(initial=0) < 1 << 16 else np.uint32
        self.weights = np.zeros((n + 1, columns), kind)
        self.weights[:n] = weights
        self.length = math.ceil(n / LEVELS)
        self.sums = np.zeros((LEVELS * self.length + 1, columns), kind)
        self.looked_up, self.as_floats = np.empty((n, columns), kind), np.empty((n, columns))

    def fill(self, layout: np.ndarray) -> None:
        """Sum the weights in the order of `Places.layout`."""
        np.take(self.weights, layout, axis=0, out=self.sums[:-1], mode="clip")  # "raise" would copy once more
        levels = self.sums[:-1].reshape(LEVELS, self.length, -1)
        _accumulate(levels)
        before = levels[-1, :-1].copy()
        _accumulate(before)
        levels[:, 1:] += before

    def product(self, factors: np.ndarray, places: np.ndarray) -> np.ndarray:
        """sum_i factors_i sums[places_i]: (R, B), (R,) -> (B,)."""
        sums, floats = self.looked_up[: len(places)], self.as_floats[: len(places)]
        np.take(self.sums, places, axis=0, out=sums, mode="clip")
        np.copyto(floats, sums)
        return np.einsum("nb,nb->b", factors, floats)

    def of_groups(self, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Summed weights g of groups of ties: the places of W(<) and W(<=) of each (G,) -> (G, B)."""
        return (self.sums[ends] - self.sums[starts]).astype(np.float64)


def _accumulate(rows: np.ndarray) -> None:
    """Running sums over the first axis, in place."""
    for earlier, row in pairwise(rows):
        row += earlier
