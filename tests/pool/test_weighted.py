import numpy as np
import pytest
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from pipeline.pool.tokens import mean
from pipeline.pool.weighted import WEIGHTED, idf_mean, sif, token_weights, without_common

COUNTING = np.array([[1, -1], [2, -2], [3, -3], [6, -6]], dtype=np.float32)  # T = 4, D = 2


def test_weighted_poolings_by_hand():
    weights = np.array([0.0, 1.0, 3.0, 0.0], dtype=np.float32)
    assert idf_mean(COUNTING, weights) == pytest.approx(np.array([11 / 4, -11 / 4]))
    assert sif(COUNTING, weights) == pytest.approx(np.array([11 / 4, -11 / 4]))  # sum / T, which is 4 here too
    assert sif(COUNTING[:3], weights[:3]) == pytest.approx(np.array([11 / 3, -11 / 3]))
    assert idf_mean(COUNTING, 0 * weights) == pytest.approx(mean(COUNTING))


@pytest.mark.parametrize("name", WEIGHTED)
def test_a_stack_of_sentences_is_pooled_one_by_one(name, rng):
    h, weights = rng.standard_normal((5, 7, 3)).astype(np.float32), rng.random((5, 7)).astype(np.float32)
    pool = WEIGHTED[name].pool
    expected = np.stack([pool(states, own) for states, own in zip(h, weights)])
    assert pool(h, weights) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_idf_by_scikit_learn_and_bert_scores_smoothing(rng):
    """ln((N + 1) / (n + 1)), which is scikit-learn's smooth idf minus 1; a token that train does not hold has most."""
    ids = [rng.integers(0, 12, rng.integers(1, 9)).astype(np.int32) for _ in range(30)]
    vectorizer = TfidfVectorizer(analyzer=np.ndarray.tolist, lowercase=False, vocabulary={i: i for i in range(12)})
    oracle = vectorizer.fit(ids[:20]).idf_ - 1
    weights = token_weights(np.arange(30), ids, np.arange(20), ["idf_mean"])["idf_mean"]
    for i, sentence in enumerate(ids):
        assert weights[i] == pytest.approx(oracle[sentence], rel=1e-6, abs=1e-7)


def test_sif_weights_by_counting():
    ids = [np.array([1, 1, 2], np.int32), np.array([1, 3], np.int32), np.array([2, 5], np.int32)]
    weights = token_weights(np.array([1, 2, 0]), ids, np.array([1, 2]), ["sif"])
    assert list(weights) == ["sif"]
    assert weights["sif"][1] == pytest.approx([0.001 / (0.001 + 0.6)] * 2 + [0.001 / 0.201])
    assert weights["sif"][0] == pytest.approx([0.001 / 0.201, 1])  # train has no token 5


@pytest.mark.parametrize("name", WEIGHTED)
def test_test_sentences_count_nothing(name, rng):
    ids = [rng.integers(0, 9, 5).astype(np.int32) for _ in range(10)]
    other = ids[:6] + [np.full(5, 8, np.int32)] * 4
    weights, changed = (token_weights(np.arange(10), given, np.arange(6), [name])[name] for given in (ids, other))
    assert all(np.array_equal(weights[i], changed[i]) for i in range(6))


def test_the_common_component_is_that_of_truncated_svd(rng):
    train, others = rng.standard_normal((40, 6)) + 1, rng.standard_normal((9, 6)) + 1
    u = TruncatedSVD(1, algorithm="arpack").fit(train).components_[0]
    assert without_common(train)(others) == pytest.approx(others - np.outer(others @ u, u), abs=1e-6)  # float32
