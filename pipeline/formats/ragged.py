"""Many short arrays, such as the token ids of sentences, in one: no object for each of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import overload

import numpy as np


@dataclass(frozen=True, eq=False)
class Ragged(Sequence[np.ndarray]):
    """S arrays, one behind the other. An item is a view of its numbers, a slice is a `Ragged` that shares them."""

    values: np.ndarray
    """(N,)"""
    offsets: np.ndarray
    """(S + 1,) int64: where each array begins, and where the last one ends"""

    @classmethod
    def of(cls, arrays: Iterable[Sequence[int] | np.ndarray], dtype: type = np.int32) -> "Ragged":
        """Arrays, or lists of numbers; those that are behind each other already as they are."""
        if isinstance(arrays, Ragged):
            return arrays
        arrays = list(arrays)
        offsets = offsets_of(np.fromiter(map(len, arrays), np.int64, len(arrays)))
        return cls(np.fromiter(chain.from_iterable(arrays), dtype, offsets[-1]), offsets)

    @classmethod
    def joined(cls, parts: Iterable["Ragged"]) -> "Ragged":
        """Those of several, one part after the other; there is one part at least."""
        parts = list(parts)
        lengths = np.concatenate([part.lengths for part in parts])
        return cls(np.concatenate([part.values for part in parts]), offsets_of(lengths))

    @property
    def lengths(self) -> np.ndarray:
        """(S,)"""
        return np.diff(self.offsets)

    def lengths_at(self, rows: np.ndarray) -> np.ndarray:
        """The lengths of some of them, (n,) -> (n,)."""
        return self.offsets[rows + 1] - self.offsets[rows]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, which: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, which: slice) -> "Ragged": ...
    def __getitem__(self, which: int | slice) -> "np.ndarray | Ragged":
        if not isinstance(which, slice):
            at = range(len(self))[which]  # which raises IndexError, as a list does
            return self.values[self.offsets[at] : self.offsets[at + 1]]
        start, stop, step = which.indices(len(self))
        if step != 1:
            return self.take(np.arange(start, stop, step))
        offsets = self.offsets[start : max(start, stop) + 1]
        return Ragged(self.values[offsets[0] : offsets[-1]], offsets - offsets[0])

    def take(self, rows: np.ndarray) -> "Ragged":
        """Some of them in the order of their numbers, (n,)."""
        return self._cut(self.offsets[rows], self.lengths_at(rows))

    def within(self, spans: np.ndarray) -> "Ragged":
        """Of each a part: the first number of it and the one after the last, (S, 2)."""
        start, stop = spans.T
        if not start.any() and np.array_equal(stop, self.lengths):
            return self
        return self._cut(self.offsets[:-1] + start, stop - start)

    def among(self, parts: Sequence[np.ndarray | None]) -> "Ragged":
        """What is read with each array, which is where a part is None: its parts, one behind the other."""
        copies, fixed = sum(part is None for part in parts), sum(len(part) for part in parts if part is not None)
        offsets = offsets_of(copies * self.lengths + fixed)
        values, at = np.empty(offsets[-1], self.values.dtype), offsets[:-1].copy()
        for part in parts:
            if part is None:
                values[_places(at, self.lengths)] = self.values
                at += self.lengths
            else:
                values[at[:, None] + np.arange(len(part))] = part
                at += len(part)
        return Ragged(values, offsets)

    def _cut(self, starts: np.ndarray, lengths: np.ndarray) -> "Ragged":
        return Ragged(self.values[_places(starts, lengths)], offsets_of(lengths))


def lengths_of(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """How long each of S arrays is, (S,)."""
    return arrays.lengths if isinstance(arrays, Ragged) else np.fromiter(map(len, arrays), np.int64, len(arrays))


def offsets_of(lengths: np.ndarray) -> np.ndarray:
    """Where arrays of these lengths (S,) begin, one behind the other, and where the last one ends -> (S + 1,) int64."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def _places(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Runs that begin at starts (S,) and have so many numbers, (S,) -> the place of each number."""
    offsets = offsets_of(lengths)
    return np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])
