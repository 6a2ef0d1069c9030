"""Weighted statistics against repeating the rows and giving them to SciPy and scikit-learn."""

import tracemalloc

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from pipeline.stats import weighted
from pipeline.stats.weighted import weighted_statistics
from tests.stats.making import scores_and_labels


def of(scores, labels, weights, **wanted):
    return weighted_statistics(scores, labels, lambda start, stop: weights[:, start:stop], weights.shape[1], **wanted)


@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize("most", [3, 5000])  # 5000: sums beyond 16 bits
def test_weighted_statistics_equal_repeating_the_rows(rng, graded, most):
    scores, labels, _ = scores_and_labels(rng, n=40, graded=graded)
    weights = rng.integers(0, most, size=(40, 7))
    values = of(scores, labels, weights)
    for b, times in enumerate(weights.T):
        x, y = np.repeat(scores, times, axis=1), np.repeat(labels, times)
        aucs = [np.nan if graded else roc_auc_score(y, row) for row in x]
        assert values["spearman"][:, b] == pytest.approx([stats.spearmanr(row, y).statistic for row in x], abs=1e-12)
        assert values["pearson"][:, b] == pytest.approx([stats.pearsonr(row, y).statistic for row in x], abs=1e-11)
        assert values["auc"][:, b] == pytest.approx(aucs, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("decimals", [0, 1, 2])  # from all scores tied to a few
def test_scores_with_many_and_with_few_ties_equal_repeating_the_rows(rng, decimals):
    scores, labels, _ = scores_and_labels(rng, n=70, encoders=4)
    scores, weights = np.round(scores, decimals), rng.integers(0, 4, size=(70, 5))
    values = of(scores, labels, weights, wanted=["spearman"])["spearman"]
    for b, times in enumerate(weights.T):
        x, y = np.repeat(scores, times, axis=1), np.repeat(labels, times)
        assert values[:, b] == pytest.approx([stats.spearmanr(row, y).statistic for row in x], abs=1e-12)


def test_labels_without_ties_are_correlated_as_scores_are(rng):
    """rho is symmetric: what are scores and what labels is no matter."""
    x, y = rng.standard_normal((2, 60))
    weights = rng.integers(0, 4, size=(60, 9))
    one, other = (of(row[None], labels, weights, wanted=["spearman"]) for row, labels in ((x, y), (y, x)))
    assert one["spearman"] == pytest.approx(other["spearman"], abs=1e-12)


def test_statistics_are_undefined_where_scores_or_labels_are_equal():
    # everything; label 0 only; two equal scores with labels 1 and 0; nothing
    weights = np.array([[1.0, 1, 0, 0], [1, 0, 1, 0], [1, 0, 1, 0]])
    values = of(np.array([[1.0, 2, 2]]), np.array([0.0, 1, 0]), weights)
    assert np.isnan(values["spearman"][0]).tolist() == [False, True, True, True]
    assert np.isnan(values["pearson"][0]).tolist() == [False, True, True, True]
    assert np.isnan(values["auc"][0]).tolist() == [False, True, False, True]
    equal = of(np.array([[1.0, 2, 2]]), np.ones(3), weights)
    assert np.isnan(equal["spearman"]).all()
    assert np.isnan(equal["pearson"]).all()


@pytest.mark.parametrize("wanted", [["spearman"], ["auc", "pearson"], ["pearson"]])
def test_what_is_wanted_alone_is_what_it_is_beside_the_others(rng, wanted):
    scores, labels, _ = scores_and_labels(rng)
    weights = rng.integers(0, 4, size=(90, 30))
    every, some = of(scores, labels, weights), of(scores, labels, weights, wanted=wanted)
    assert list(some) == wanted
    assert all(np.array_equal(some[name], every[name]) for name in wanted)


def test_weights_are_drawn_once_in_order_and_in_bounded_blocks(rng, monkeypatch):
    monkeypatch.setattr(weighted, "CELLS", 90 * 8)
    scores, labels, _ = scores_and_labels(rng)
    blocks = []

    def draw(start, stop):
        blocks.append((start, stop))
        return np.ones((90, stop - start))

    weighted_statistics(scores, labels, draw, 100)
    assert [start for start, _ in blocks] == [0, *(stop for _, stop in blocks[:-1])]
    assert blocks[-1][1] == 100
    assert max(stop - start for start, stop in blocks) <= 8 * weighted.SLICES


def test_the_order_of_one_row_of_scores_is_held_at_a_time(rng):
    scores, labels = rng.standard_normal((40, 5000)), rng.integers(0, 2, 5000)
    tracemalloc.start()
    ranks = weighted._Ranks(scores, labels)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(ranks.places) == 40
    assert peak - held < 20 * scores[0].nbytes  # of one order and its places; the orders of all take 120
