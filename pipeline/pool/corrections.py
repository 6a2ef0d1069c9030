"""Corrections of sentence vectors for anisotropy, fitted on the vectors of the train sentences alone.

`embed_filter_K` is not fitted at all: it takes the unembedding of the model instead.

CORRECTIONS maps a name to a function: `TrainVectors` (and K) -> a function of vectors (S, D) -> (S, D') float64. In
params.yaml a name such as whitening_64 is an entry and its K.
"""

from collections.abc import Callable, Iterable, Iterator
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
Apply = Callable[[np.ndarray], np.ndarray]
"""vectors (S, D) -> (S, D')"""


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


def none(train: TrainVectors) -> Apply:
    """v, as it is"""
    return as_they_are


def as_they_are(vectors: np.ndarray) -> np.ndarray:
    """(S, D) -> (S, D)"""
    return vectors


def centre(train: TrainVectors) -> Apply:
    """v - m, m the mean train vector."""
    return lambda vectors: vectors - train.mean


def remove_mean_direction(train: TrainVectors) -> Apply:
    """v - (v . u) u, u = m / |m| the direction of the mean train vector m (R2 of arXiv 2511.11041).

    Unlike `centre` it leaves the same of a vector whatever the length of m, and no vector keeps anything of m. Of the
    paper only the abstracts of both versions and equations 1 and 2 of v1 could be read: m is the mean of the vectors as
    the model gives them, and so it is here. Whether it scales them to length 1 before could not be seen; the cosine
    does not depend on what follows. Where the train vectors have no mean there is nothing to remove.
    """
    length = np.linalg.norm(train.mean)
    has_mean = length > 1e-12 * train.largest.max()
    direction = train.mean / length if has_mean else np.zeros_like(train.mean)
    return lambda vectors: vectors - np.outer(vectors @ direction, direction)


def standardise(train: TrainVectors) -> Apply:
    """(v - m) / s, s the standard deviation of each dimension over the train vectors (arXiv 2109.04404).

    A dimension that does not vary there becomes 0.
    """
    varies = train.spread > 1e-12 * train.largest
    scale = np.divide(1, train.spread, out=np.zeros_like(train.spread), where=varies)
    return lambda vectors: (vectors - train.mean) * scale


def all_but_the_top(train: TrainVectors, k: int) -> Apply:
    """c - U U^T c, c = v - m and U (D, k) the first k principal directions of the train vectors (arXiv 1702.01417)."""
    _, top = train.principal.largest(k, "all_but_the_top")

    def apply(vectors: np.ndarray) -> np.ndarray:
        centred = vectors - train.mean
        return centred - (centred @ top) @ top.T

    return apply


def whitening(train: TrainVectors, k: int) -> Apply:
    """U^T (v - m) / sigma: the first k principal components (arXiv 2103.15316).

    Each is scaled to variance 1 on the train vectors.
    """
    sigma, top = train.principal.largest(k, "whitening")
    scaled = top / (sigma / np.sqrt(train.shape[0]))
    return lambda vectors: (vectors - train.mean) @ scaled


def embed_filter(train: TrainVectors, k: int) -> Apply:
    """V^T (g * v), V (D, D // K) the middle right singular vectors of the unembedding, by the size of their singular
    values, and g the gain of the norm before it (EmbedFilter, arXiv 2606.07502).

    Both edges go, (D - D // K) // 2 of the largest and the rest of the smallest: frequent words are written there. So
    does the authors' code (github CentreChen/EmbFilter, commit c3958e3, set_lm_embed, where K is filter_ratio, 2 by
    default); of the paper only the abstract and summaries could be read. There it is applied to norm(h) of each token,
    before pooling. Here vectors are pooled from layers without the final norm (C1), so the gain, and the centring of a
    LayerNorm, are applied to v; the length of each token, which the norm divides by, and the norm's bias are not. With
    the pooling `last` and an RMSNorm the cosine at the last layer is the same. embed_filter_1 keeps all directions:
    the gain alone, the control.
    """
    if train.unembedding is None:
        raise NoUnembeddingError(f"embed_filter_{k}: there is no unembedding to filter by")
    directions, gain = train.unembedding.directions, train.unembedding.gain
    if train.shape[1] != len(gain):
        raise WidthError(
            f"embed_filter_{k}: vectors of {train.shape[1]} dimensions, expected {len(gain)} as in the model"
        )
    kept = len(gain) // k
    if not kept:
        raise RankError(f"embed_filter_{k}: {len(gain)} dimensions, expected k from 1 to {len(gain)}")
    first = (len(gain) - kept) // 2
    matrix = (directions[first : first + kept] * gain).T.astype(np.float64)  # (D, kept)
    if train.unembedding.centred:
        matrix -= matrix.mean(axis=0)  # of v - mean(v), as v - mean(v) is linear in v
    return lambda vectors: vectors @ matrix


CORRECTIONS: dict[str, Callable[..., Apply]] = {
    "none": none,
    "centre": centre,
    "remove_mean_direction": remove_mean_direction,
    "standardise": standardise,
    "all_but_the_top_K": all_but_the_top,
    "whitening_K": whitening,
    "embed_filter_K": embed_filter,
}
BY_UNEMBEDDING = ("embed_filter_K",)
"""those that take the unembedding of the model"""
