"""0/1 decisions by trying all thresholds, and against scikit-learn."""

from dataclasses import astuple

import numpy as np
import pytest
from sklearn import metrics

from pipeline.stats.thresholds import best_threshold, threshold_metrics
from tests.stats.making import scores_and_labels


def test_threshold_by_trying_all_and_metrics_by_scikit_learn(rng):
    scores, labels, _ = scores_and_labels(rng, n=80)
    train, rest = slice(40), slice(40, None)
    for row in scores:
        found = threshold_metrics(row[train], labels[train], row[rest], labels[rest])
        values = np.unique(row[train])
        candidates = [-np.inf, *(values[:-1] / 2 + values[1:] / 2), np.inf]
        accuracies = [((row[train] > threshold) == labels[train]).mean() for threshold in candidates]
        assert found.threshold == pytest.approx(candidates[int(np.argmax(accuracies))], abs=1e-12)
        truth, predicted = labels[rest], row[rest] > found.threshold
        expected = [
            metrics.accuracy_score(truth, predicted),
            metrics.f1_score(truth, predicted),
            metrics.balanced_accuracy_score(truth, predicted),
            metrics.matthews_corrcoef(truth, predicted),
        ]
        assert astuple(found)[1:] == pytest.approx(expected, abs=1e-12)


def test_threshold_by_hand():
    x, y = np.array([1.0, 2, 3, 4]), np.array([0.0, 1, 0, 1])
    assert best_threshold(x, y) == 1.5  # as good as 3.5, and smaller
    assert best_threshold(x, np.array([1.0, 0, 0, 0])) == np.inf


def test_scores_that_mislead_call_everything_positive():
    x, y = np.array([1.0, 2, 3, 4]), np.array([0.0, 1, 0, 1])
    always = threshold_metrics(x, np.array([1.0, 1, 1, 0]), x, y)
    assert (always.threshold, always.accuracy, always.balanced_accuracy, always.mcc) == (-np.inf, 0.5, 0.5, 0)


@pytest.mark.parametrize("labels", [[0.0, 1, 1], [0.0, 0, 1]])
def test_neighbours_without_a_number_in_between_are_divided(labels):
    close = np.array([1.0, np.nextafter(1, 2), np.nextafter(np.nextafter(1, 2), 2)])
    assert threshold_metrics(close, np.array(labels), close, np.array(labels)).accuracy == 1


def test_one_label_leaves_what_is_0_by_0_undefined():
    x = np.array([1.0, 2, 3, 4])
    nothing = threshold_metrics(x, np.zeros(4), x, np.zeros(4))
    assert (nothing.accuracy, nothing.mcc) == (1, 0)
    assert np.isnan([nothing.f1, nothing.balanced_accuracy]).all()


def test_grades_are_refused():
    x = np.array([1.0, 2, 3, 4])
    with pytest.raises(ValueError, match="grades"):
        threshold_metrics(x, np.array([0.0, 1, 0, 1]), x, x)
