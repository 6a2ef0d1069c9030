"""Statistics against SciPy, scikit-learn and closed forms."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from pipeline.stats.ranks import auc, ceiling, midranks, order_of, pearson, spearman, spearman_rows, tied_share
from tests.stats.making import scores_and_labels


@pytest.mark.parametrize("graded", [False, True])
def test_statistics_equal_scipy_and_scikit_learn(rng, graded):
    scores, labels, _ = scores_and_labels(rng, graded=graded)
    for row in scores:
        assert spearman(row, labels) == stats.spearmanr(row, labels).statistic  # to the last digit
        assert pearson(row, labels) == pytest.approx(np.corrcoef(row, labels)[0, 1], abs=1e-12)
        assert auc(row, labels) == (None if graded else pytest.approx(roc_auc_score(labels, row), abs=1e-12))


def test_rows_of_scores_have_the_rho_of_each_and_nan_where_there_is_none(rng):
    scores, labels, _ = scores_and_labels(rng)
    scores[1] = 3.0
    assert spearman_rows(scores, labels)[[0, 2]].tolist() == [spearman(row, labels) for row in scores[[0, 2]]]
    assert np.isnan(spearman_rows(scores, labels)).tolist() == [False, True, False]
    assert np.isnan(spearman_rows(scores, np.ones(90))).all()


def test_rho_is_never_beyond_one(rng):
    scores = np.cumsum(rng.random((50, 7)), axis=1)
    assert np.abs(spearman_rows(scores, np.arange(7.0))).max() == 1


@pytest.mark.parametrize("decimals", [0, 12])
def test_midranks_equal_scipy(rng, decimals):
    values = np.round(rng.standard_normal(50), decimals)
    assert np.array_equal(midranks(values), stats.rankdata(values))


def test_order_by_hand():
    order = order_of(np.array([3.0, 1, 3, 2, 1, 3]))
    assert [set(rows.tolist()) for rows in np.split(order.order, [2, 3])] == [{1, 4}, {3}, {0, 2, 5}]
    assert order.group.tolist() == [2, 0, 2, 1, 0, 2]
    assert (order.starts.tolist(), order.ends.tolist(), order.sizes.tolist()) == ([0, 2, 3], [2, 3, 6], [2, 1, 3])


def test_auc_by_definition_counts_pairs(rng):
    scores, labels, _ = scores_and_labels(rng)
    positive, negative = scores[0][labels == 1], scores[0][labels == 0]
    wins = (positive[:, None] > negative).sum() + 0.5 * (positive[:, None] == negative).sum()
    assert auc(scores[0], labels) == pytest.approx(wins / (len(positive) * len(negative)), abs=1e-12)


def test_rho_is_a_function_of_auc_for_labels_without_ties_in_scores(rng):
    """rho = (2 AUC - 1) sqrt(3 p (1 - p)) n / sqrt(n^2 - 1); ties in the scores divide it by their own ceiling."""
    scores, labels, _ = scores_and_labels(rng)
    n, p = len(labels), labels.mean()
    for row in scores:
        untied = (2 * auc(row, labels) - 1) * np.sqrt(3 * p * (1 - p)) * n / np.sqrt(n**2 - 1)
        assert spearman(row, labels) == pytest.approx(untied / ceiling(row), abs=1e-12)
    assert ceiling(scores[0]) < ceiling(scores[1]) == 1


@pytest.mark.parametrize("graded", [False, True])
def test_ceiling_is_the_rho_of_a_perfect_order(rng, graded):
    _, labels, _ = scores_and_labels(rng, graded=graded)
    perfect = np.argsort(np.argsort(labels + 1e-6 * rng.random(len(labels))))
    assert ceiling(labels) == pytest.approx(spearman(perfect, labels), abs=1e-12)


def test_ceiling_of_mrpc_validation_by_the_closed_form():
    labels = np.repeat([1.0, 0.0], [279, 129])
    assert ceiling(labels) == pytest.approx(np.sqrt(3 * (279 / 408) * (129 / 408)), abs=1e-5)


def test_ties_by_hand():
    assert tied_share(np.array([1, 2, 2, 3, 3, 3, 4, 5, 6, 7])) == 0.5


def test_equal_scores_have_no_correlation_and_an_auc_of_one_half():
    labels = np.array([0.0, 1, 1, 0])
    assert spearman(np.ones(4), labels) is None
    assert pearson(np.ones(4), labels) is None
    assert auc(np.ones(4), labels) == 0.5


def test_nothing_is_defined_where_all_labels_are_equal_or_there_is_one():
    scores = np.array([0.0, 1, 1, 0])
    for labels in (np.ones(4), np.zeros(4)):
        assert [statistic(scores, labels) for statistic in (spearman, pearson, auc)] == [None, None, None]
    assert spearman(scores[:1], np.ones(1)) is None
