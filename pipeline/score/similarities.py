"""How alike two vectors are: SIMILARITIES, name -> function (P, D), (P, D) -> (P,). Larger means more alike."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.base.errors import one_of

if TYPE_CHECKING:  # settings import this, and are not to wait for Arrow
    from pipeline.formats.arrays import Rows

PAIRS_AT_ONCE = 4096
"""pairs whose float64 vectors are held at once, at most"""
NUMBERS_AT_ONCE = 1 << 24
"""of one side of these pairs: recurrent states have a hundred thousand dimensions"""


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a . b / (|a| |b|), and 0 where a vector is zero (a sentence of unknown words), as scikit-learn has it."""
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.divide(dot(a, b), norms, out=np.zeros(len(a)), where=norms > 0)


def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a . b"""
    return np.einsum("pd,pd->p", a, b)


def neg_euclidean(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """-|a - b|"""
    return -np.linalg.norm(a - b, axis=1)


def neg_manhattan(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """-sum_d |a_d - b_d|"""
    return -np.abs(a - b).sum(axis=1)


def rank_cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman's correlation of the two vectors over their dimensions (midranks); 0 where all values of one are equal.

    A few outlying dimensions do not rule it (Zhelezniak et al. 2019, arXiv 1905.07790).
    """
    from scipy.stats import rankdata

    a, b = (rankdata(vectors, axis=1) - (vectors.shape[1] + 1) / 2 for vectors in (a, b))
    return cosine(a, b)


SIMILARITIES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "cosine": cosine,
    "dot": dot,
    "neg_euclidean": neg_euclidean,
    "neg_manhattan": neg_manhattan,
    "rank_cosine": rank_cosine,
}


@dataclass(frozen=True)
class Similarity:
    """How two vectors are compared."""

    text: str
    """a key of SIMILARITIES"""

    @classmethod
    def parse(cls, text: str) -> "Similarity":
        """A name of params.yaml. InputError that names the near misses."""
        return cls(one_of(text, SIMILARITIES, "similarity"))

    def __str__(self) -> str:
        return self.text

    def __call__(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """(P, D), (P, D) -> (P,)"""
        return SIMILARITIES[self.text](a, b)


def score_pairs(
    vectors: "Rows", first: np.ndarray, second: np.ndarray, similarities: Sequence[Similarity]
) -> np.ndarray:
    """Sentence vectors (S, D) and the two sentence ids of each pair (P,), (P,) -> (K, P): a row for each similarity.

    Computed in float64.
    """
    scores = np.empty((len(similarities), len(first)))
    step = max(1, min(PAIRS_AT_ONCE, NUMBERS_AT_ONCE // vectors.shape[1]))
    for start in range(0, len(first), step):
        pairs = slice(start, start + step)
        a, b = (vectors[ids[pairs]].astype(np.float64, copy=False) for ids in (first, second))
        for row, similarity in zip(scores, similarities):
            row[pairs] = similarity(a, b)
    return scores
