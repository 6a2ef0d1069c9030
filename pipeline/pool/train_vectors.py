"""Train vectors, and what corrections are fitted on: mean, spread, principal directions. They are read in parts, since
they may be many.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import TYPE_CHECKING

import numpy as np

from pipeline.base.errors import InputError
from pipeline.formats.unembeddings import Unembedding

if TYPE_CHECKING:  # settings import this, and are not to wait for Arrow
    from pipeline.formats.arrays import Rows

NUMBERS_AT_ONCE = 1 << 24
"""of vectors in float64 that are held at once: all of them where they are not more"""


class CorrectionError(InputError):
    """Vectors that a correction cannot be applied to: it is left out there, and `why` says so in a few words."""

    why = ""


class RankError(CorrectionError):
    """More directions were asked for than there are."""

    why = "too few dimensions"


class NoUnembeddingError(CorrectionError):
    """An encoder that has no unembedding, or a model whose unembedding is not known."""

    why = "there is no unembedding"


class WidthError(CorrectionError):
    """The vectors are not as wide as the states of the model whose unembedding is to filter them."""

    why = "not as wide as the model"


@dataclass(frozen=True)
class Spectrum:
    """Singular values and right singular vectors of n rows of D dimensions."""

    squares: np.ndarray
    """(min(n, D),) squared singular values, ascending"""
    vectors: np.ndarray
    """(min(n, D), min(n, D)): right singular vectors in its columns, or left ones where the rows are fewer than D"""
    shape: tuple[int, int]
    """(n, D)"""
    rows: np.ndarray | None
    """(n, D) where they are fewer than D, else None"""

    @classmethod
    def of(cls, rows: np.ndarray) -> "Spectrum":
        """Of rows (n, D) float64."""
        return cls.of_parts([rows], rows.shape)

    @classmethod
    def of_parts(cls, parts: Iterable[np.ndarray], shape: tuple[int, int]) -> "Spectrum":
        """Of rows (n, D) float64 that come in parts.

        By the eigenvectors of rows^T rows, or of rows rows^T where that is smaller: many times faster than the SVD, and
        exact enough above `rank`. So no matrix is of D x D where D is in the tens of thousands, as recurrent states
        have them.
        """
        rows = None
        if shape[0] < shape[1]:
            rows = np.concatenate(list(parts))
            matrix = rows @ rows.T
        else:
            matrix = reduce(np.add, (part.T @ part for part in parts))
        squares, vectors = np.linalg.eigh(matrix)
        return cls(squares, vectors, shape, rows)

    @property
    def rank(self) -> int:
        """How many directions are more than rounding."""
        if not self.squares[-1] > 0:
            return 0
        bound = self.squares[-1] * max(self.shape) * np.finfo(np.float64).eps
        return int((self.squares > bound).sum())

    def largest(self, k: int, name: str) -> tuple[np.ndarray, np.ndarray]:
        """The k largest singular values (k,), descending, and their vectors (D, k). RankError where there are fewer."""
        count, dim = self.shape
        if not 1 <= k <= self.rank:
            raise RankError(
                f"{name}_{k}: {count} train vectors of {dim} dimensions have rank {self.rank}, expected k from 1 to "
                f"{self.rank}"
            )
        sigma, top = np.sqrt(self.squares[: -k - 1 : -1]), self.vectors[:, : -k - 1 : -1]
        return sigma, top if self.rows is None else self.rows.T @ (top / sigma)


class TrainVectors:
    """The train vectors of an encoder at a layer, (n, D), and what several corrections need of them, computed once."""

    def __init__(
        self, vectors: "Rows", unembedding: Unembedding | None = None, chosen: np.ndarray | None = None
    ) -> None:
        """chosen: which of the vectors (S, D) are of train, (n,); None: all. They are read in parts."""
        self.vectors, self.unembedding = vectors, unembedding
        self.chosen = np.arange(len(vectors)) if chosen is None else chosen

    @property
    def shape(self) -> tuple[int, int]:
        """(n, D)"""
        return len(self.chosen), self.vectors.shape[1]

    def parts(self) -> Iterator[np.ndarray]:
        """The train vectors as float64, so many at a time."""
        for some in in_parts(*self.shape):
            yield self.vectors[self.chosen[some]].astype(np.float64)

    @cached_property
    def mean(self) -> np.ndarray:
        """(D,)"""
        return reduce(np.add, (part.sum(axis=0) for part in self.parts())) / len(self.chosen)

    @cached_property
    def spread(self) -> np.ndarray:
        """The standard deviation of each dimension, (D,)."""
        return np.sqrt(reduce(np.add, ((part**2).sum(axis=0) for part in self._centred())) / len(self.chosen))

    @cached_property
    def largest(self) -> np.ndarray:
        """The largest absolute value of each dimension, (D,)."""
        return reduce(np.maximum, (np.abs(part).max(axis=0) for part in self.parts()))

    @cached_property
    def principal(self) -> Spectrum:
        """Principal directions: of the vectors minus their mean."""
        return Spectrum.of_parts(self._centred(), self.shape)

    def _centred(self) -> Iterator[np.ndarray]:
        return (part - self.mean for part in self.parts())


def in_parts(count: int, dim: int) -> list[slice]:
    """Vectors (count, dim) -> parts of NUMBERS_AT_ONCE numbers at most."""
    step = max(1, NUMBERS_AT_ONCE // dim)
    return [slice(start, start + step) for start in range(0, count, step)]
