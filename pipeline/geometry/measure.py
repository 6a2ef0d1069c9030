"""What a measure is, and the sample of sentences that it is a function of."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Sample:
    """N sentences at one layer."""

    columns: Mapping[str, np.ndarray]
    """what is known of each sentence, (N,) or (N, D); `vectors` are those of `pooling`, NaN is undefined"""

    def take(self, rows: np.ndarray) -> "Sample":
        """Some of the sentences."""
        return Sample({name: column[rows] for name, column in self.columns.items()})

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    def mean(self, name: str) -> float:
        """The mean of a column (N,) over the sentences for which it is defined, NaN where it is for none."""
        defined = self[name][np.isfinite(self[name])]
        return float(defined.mean(dtype=np.float64)) if len(defined) else np.nan

    def defined(self, names: Iterable[str]) -> int:
        """For how many sentences all of some columns are defined."""
        finite = [np.isfinite(self[name]).reshape(len(self[name]), -1).all(axis=1) for name in names]
        return int(np.all(finite, axis=0).sum())

    @cached_property
    def spectrum(self) -> np.ndarray:
        """Eigenvalues of the covariance of the vectors, (min(N - 1, D),), the largest first."""
        vectors = self["vectors"].astype(np.float64)
        rank = min(len(vectors) - 1, vectors.shape[1])
        return eigenvalues(vectors - vectors.mean(axis=0))[:rank] / (len(vectors) - 1)


def eigenvalues(rows: np.ndarray) -> np.ndarray:
    """Those of X X^T and of X^T X that are not 0 by necessity: X (N, D) -> (min(N, D),), the largest first."""
    small = rows @ rows.T if len(rows) < rows.shape[1] else rows.T @ rows
    return np.clip(np.linalg.eigvalsh(small)[::-1], 0, None)


@dataclass(frozen=True)
class Measure:
    """One number that says something of a layer, and what a reader has to know of it."""

    function: Callable
    """of a Sample -> float; in `between`, of the vectors of L layers (L, N, D) -> (L, L)"""
    title: str
    """in pictures and tables"""
    formula: str
    """v is the vector of a sentence, h_t the state of its token t = 1 .. T; N sentences, D dimensions"""
    source: str
    """what was read for it"""
    unit: str
    """empty for a pure number"""
    span: tuple[float, float]
    """the least and the largest value that it can have; intervals are cut there"""
    depends: str
    """on what its size depends beside the states: N, D, centring, scale"""
    needs: frozenset[str] = field(default=frozenset({"vectors"}))
    """columns of the sample"""
    maximum: Callable[[Sample], float] | None = None
    """of this sample, where that depends on N, D or T"""
    claim: str = ""
    """the claim of the paper that it speaks to: C6 (entropy) or C7 (the mean dilutes the signal)"""

    def facts(self, level: str) -> dict[str, str]:
        """What pages and pictures say of it."""
        return {"title": self.title, "unit": self.unit, "claim": self.claim, "level": level}
