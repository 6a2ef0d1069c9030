import subprocess
import sys

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics.pairwise import cosine_similarity, euclidean_distances, manhattan_distances

from pipeline.base.errors import InputError
from pipeline.score import similarities
from pipeline.score.similarities import SIMILARITIES, Similarity, score_pairs
from tests.helpers import ROOT

ORACLES = {  # add a row for a new similarity
    "cosine": lambda a, b: np.diag(cosine_similarity(a, b)),
    "dot": lambda a, b: np.diag(a @ b.T),
    "neg_euclidean": lambda a, b: -np.diag(euclidean_distances(a, b)),
    "neg_manhattan": lambda a, b: -np.diag(manhattan_distances(a, b)),
    "rank_cosine": lambda a, b: [stats.spearmanr(x, y).statistic for x, y in zip(a, b)],
}


def test_every_entry_is_tested():
    assert set(ORACLES) == set(SIMILARITIES)


@pytest.mark.parametrize("name", ORACLES)
def test_similarities_equal_other_libraries(name, rng):
    a, b = rng.standard_normal((2, 40, 7)).round(1)  # some ties
    assert Similarity.parse(name)(a, b) == pytest.approx(ORACLES[name](a, b), abs=1e-7)


@pytest.mark.parametrize("name", SIMILARITIES)
def test_larger_means_more_alike(name):
    a = np.array([[1.0, 2.0]])
    assert SIMILARITIES[name](a, a * 1.01) > SIMILARITIES[name](a, -a)


@pytest.mark.parametrize("name", ["cosine", "rank_cosine"])
def test_the_cosine_of_a_constant_vector_is_zero(name):
    assert SIMILARITIES[name](np.zeros((1, 3)), np.array([[1.0, 2.0, 3.0]])).tolist() == [0.0]


def test_near_ties_stay_apart_in_double_precision():
    """One of 2048 values is 1.0001: the cosine is 1 - 2.4e-12, which single precision cannot tell from 1."""
    vectors = np.ones((2, 2048), dtype=np.float32)
    vectors[1, 0] = 1.0001
    score = score_pairs(vectors, np.array([0]), np.array([1]), [Similarity("cosine")])[0, 0]
    assert np.float32(score) == 1
    assert 1e-12 < 1 - score < 4e-12


def test_more_pairs_than_are_held_at_once(rng, monkeypatch):
    vectors, (first, second) = rng.standard_normal((30, 4)).astype(np.float32), rng.integers(0, 30, (2, 50))
    both = [Similarity("dot"), Similarity("neg_manhattan")]
    at_once = score_pairs(vectors, first, second, both)
    monkeypatch.setattr(similarities, "PAIRS_AT_ONCE", 7)
    assert np.array_equal(score_pairs(vectors, first, second, both), at_once)
    for row, similarity in zip(at_once, both):
        a, b = vectors[first].astype(np.float64), vectors[second].astype(np.float64)
        assert np.array_equal(row, similarity(a, b))


def test_an_unknown_similarity_is_refused_with_the_near_ones():
    with pytest.raises(
        InputError, match=r"^similarity is 'cosin': did you mean cosine.*\? Expected one of cosine, dot"
    ):
        Similarity.parse("cosin")


def test_similarities_load_nothing_heavy():
    heavy = ("torch", "polars", "pyarrow", "pandas", "scipy")
    program = f"import sys, pipeline.score.settings; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
