"""Accuracy and F1 of resamples, by repeating pairs and scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics

from pipeline.stats.bootstrap import bootstrap, resample_weights
from pipeline.stats.decisions import bootstrap_decisions, decisions
from tests.stats.making import scores_and_labels


def test_weighted_decisions_by_repeating_pairs_and_scikit_learn(rng):
    scores, labels, _ = scores_and_labels(rng, n=60)
    weights = rng.integers(0, 4, (60, 5))
    found = decisions(scores > 0, labels, weights)
    for row, positive in enumerate(scores > 0):
        for column in range(5):
            repeated = np.repeat(np.arange(60), weights[:, column])
            truth, called = labels[repeated], positive[repeated]
            assert found["accuracy"][row, column] == pytest.approx(metrics.accuracy_score(truth, called), abs=1e-12)
            assert found["f1"][row, column] == pytest.approx(metrics.f1_score(truth, called), abs=1e-12)


def test_decisions_by_hand():
    found = decisions(np.array([[True, True, False, False]]), np.array([1.0, 0, 1, 0]), np.array([[1], [1], [1], [3]]))
    assert found["accuracy"].tolist() == [[4 / 6]]
    assert found["f1"].tolist() == [[0.5]]
    nothing = decisions(np.zeros((1, 2), bool), np.zeros(2), np.ones((2, 1)))
    assert nothing["accuracy"].tolist() == [[1]]
    assert np.isnan(nothing["f1"]).all()


@pytest.mark.parametrize("resamples", [7, 3000])
def test_resamples_are_those_of_the_bootstrap_of_ranks(rng, resamples):
    """In whatever blocks they are drawn, so that differences between a rho and an accuracy would be paired too."""
    scores, labels, component = scores_and_labels(rng)
    found = bootstrap_decisions(scores > 0, labels, component, resamples, [3, 5])
    weights = resample_weights(component, resamples, np.random.default_rng([3, 5]))
    expected = decisions(scores > 0, labels, weights)
    for name in ("accuracy", "f1"):
        assert np.array_equal(found[name], expected[name])
    positive = (scores > 0).astype(float)  # AUC of a 0/1 score is the mean of both recalls
    auc = bootstrap(positive, labels, component, resamples, [3, 5], ("auc",))["auc"]
    w, true = weights.astype(float), labels == 1
    recall = (positive * true) @ w / (true @ w)
    specificity = ((1 - positive) * ~true) @ w / (~true @ w)
    assert auc == pytest.approx((recall + specificity) / 2, abs=1e-9)


def test_few_components_are_not_resampled(rng):
    scores, labels, _ = scores_and_labels(rng)
    found = bootstrap_decisions(scores > 0, labels, np.arange(90) % 4, 10, 0)
    assert np.isnan(found["accuracy"]).all()
    assert np.isnan(found["f1"]).all()
    assert np.isfinite(bootstrap_decisions(scores > 0, labels, np.arange(90) % 6, 10, 0)["accuracy"]).all()
