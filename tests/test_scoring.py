import numpy as np
import polars as pl
import pytest
from scipy import stats
from sklearn.metrics.pairwise import cosine_similarity, euclidean_distances, manhattan_distances

from pipeline import scoring, vectors
from pipeline.scoring import SIMILARITIES, Score

ORACLES = {
    "cosine": lambda a, b: np.diag(cosine_similarity(a, b)),
    "dot": lambda a, b: np.diag(a @ b.T),
    "neg_euclidean": lambda a, b: -np.diag(euclidean_distances(a, b)),
    "neg_manhattan": lambda a, b: -np.diag(manhattan_distances(a, b)),
    "rank_cosine": lambda a, b: [stats.spearmanr(x, y).statistic for x, y in zip(a, b)],
}


@pytest.fixture
def pairs():
    return pl.DataFrame(
        {"pair_id": [0, 1, 2], "split": ["train", "test", "test"], "sentence1_id": [0, 2, 3], "sentence2_id": [1, 3, 3], "label": [1.0, 0.0, 1.0]}
    )


@pytest.mark.parametrize("name", SIMILARITIES)
def test_similarities_equal_scikit_learn(name):
    a, b = np.random.default_rng().standard_normal((2, 40, 7)).round(1)  # some ties
    assert SIMILARITIES[name](a, b) == pytest.approx(ORACLES[name](a, b), abs=1e-7)


@pytest.mark.parametrize("name", SIMILARITIES)
def test_larger_means_more_alike(name):
    a = np.array([[1.0, 2.0]])
    near, far = a * 1.01, -a
    assert SIMILARITIES[name](a, near) > SIMILARITIES[name](a, far)


def test_the_cosine_of_a_zero_vector_is_zero():
    assert scoring.cosine(np.zeros((1, 3)), np.ones((1, 3))).tolist() == [0.0]


def test_near_ties_stay_apart_in_double_precision():
    """One of 2048 values is 1.0001: the cosine is 1 - 2.4e-12, which single precision cannot tell from 1."""
    vectors = np.ones((2, 2048), dtype=np.float32)
    vectors[1, 0] = 1.0001
    score = scoring.score_pairs(vectors, np.array([0]), np.array([1]), "cosine")[0]
    assert np.float32(score) == 1
    assert 1e-12 < 1 - score < 4e-12


def test_more_pairs_than_are_held_at_once(monkeypatch):
    rng = np.random.default_rng()
    encoded, first, second = rng.standard_normal((30, 4)).astype(np.float32), rng.integers(0, 30, 50), rng.integers(0, 30, 50)
    whole = scoring.score_pairs(encoded, first, second, "dot")
    monkeypatch.setattr(scoring, "PAIRS_AT_ONCE", 7)
    assert np.array_equal(scoring.score_pairs(encoded, first, second, "dot"), whole)


def test_the_table_has_a_row_for_each_pair_layer_and_similarity(tmp_path, pairs):
    layers = dict(enumerate(np.random.default_rng(0).standard_normal((2, 4, 5)).astype(np.float32)))
    vectors.write(tmp_path / "vectors.parquet", np.arange(4), layers, {"encoder": "m", "pooling": "mean", "layers": True})
    table = scoring.score_encoder(tmp_path, pairs, Score(["cosine", "dot"], ["none"]))
    assert dict(table.schema) == scoring.SCHEMA
    assert len(table) == 3 * 2 * 2
    row = table.row(by_predicate=(pl.col("pair_id") == 1) & (pl.col("layer") == 1) & (pl.col("similarity") == "dot"), named=True)
    assert (row["split"], row["label"], row["encoder"], row["pooling"]) == ("test", 0.0, "m", "mean")
    assert row["score"] == pytest.approx(float(layers[1][2].astype(np.float64) @ layers[1][3]))


def test_scores_that_a_baseline_brings_are_kept_as_they_are(tmp_path, pairs):
    pl.DataFrame({"dice": [0.5, 0.25, 1.0]}).write_parquet(tmp_path / "scores.parquet")
    (tmp_path / "info.json").write_text('{"encoder": "overlap"}')
    table = scoring.score_encoder(tmp_path, pairs, Score(["cosine"], ["none"]))
    assert table["score"].to_list() == [0.5, 0.25, 1.0]
    assert table.select("encoder", "pooling", "correction", "layer", "similarity").unique().rows() == [("overlap", None, None, None, "dice")]
