"""Probes against scikit-learn used directly, the closed form of a ridge, planted data, labels without signal."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipeline.probe.fit import TrainPairs, figure, fit, fitted, held_out, predict


def train_of(rng, labels, count, folds=3, graded=False):
    """The first `count` pairs are train."""
    own = np.asarray(labels, dtype=np.float64)[:count]
    return TrainPairs(np.arange(count), own, rng.permutation(own), np.arange(count) % folds, graded)


def noisy(rng, n=120, width=5):
    """Features (n, width) and 0/1 labels that the first tells of, with noise."""
    features = rng.standard_normal((n, width)) * [1, 10, 0.1, 1, 5] + 2
    return features, (features[:, 0] - 2 + rng.standard_normal(n) > 0).astype(float)


def test_scores_held_out_figure_and_strength_by_scikit_learn_used_directly(rng):
    features, labels = noisy(rng)
    train, strengths = train_of(rng, labels, 80), [1.0, 0.001, 0.03]
    found = fit(features, train, strengths)
    accuracies = {}
    for strength in strengths:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=5000))
        predicted = cross_val_predict(model, features[:80], labels[:80], cv=PredefinedSplit(train.fold))
        accuracies[strength] = np.mean(predicted == labels[:80])
    best = max(accuracies.values())
    assert found.strength == min(strength for strength, accuracy in accuracies.items() if accuracy == best)
    assert found.held_out == best
    model = make_pipeline(StandardScaler(), LogisticRegression(C=found.strength, max_iter=5000))
    assert found.scores == pytest.approx(model.fit(features[:80], labels[:80]).decision_function(features), abs=1e-9)
    assert found.train == np.mean(model.predict(features[:80]) == labels[:80])
    control = model.fit(features[:80], train.permuted)
    assert found.control == pytest.approx(control.decision_function(features), abs=1e-9)
    assert found.control_train == np.mean(control.predict(features[:80]) == train.permuted)


def test_grades_by_the_closed_form_of_ridge_regression(rng):
    features, _ = noisy(rng)
    grades = features[:, 1] + rng.standard_normal(120)
    train, strength = train_of(rng, grades, 70, graded=True), 0.05
    found = fit(features, train, [strength])
    x = (features - features[:70].mean(axis=0)) / features[:70].std(axis=0)
    centre = grades[:70].mean()
    weights = np.linalg.solve(x[:70].T @ x[:70] + np.eye(5) / strength, x[:70].T @ (grades[:70] - centre))
    assert found.scores == pytest.approx(x @ weights + centre, abs=1e-9)
    theirs = make_pipeline(StandardScaler(), Ridge(alpha=1 / strength)).fit(features[:70], grades[:70])
    assert found.scores == pytest.approx(theirs.predict(features), abs=1e-9)


def test_each_train_pair_is_scored_by_the_fit_that_did_not_see_it_by_definition(rng):
    features, labels = noisy(rng, n=40)
    train = train_of(rng, labels, 40, folds=4)
    scores = held_out(features, train, 0.1)
    for fold in range(4):
        inside = train.fold == fold
        model = fitted(features[~inside], labels[~inside], 0.1, graded=False)
        assert np.array_equal(scores[inside], predict(model, features[inside]))
    assert not np.allclose(scores, predict(fitted(features, labels, 0.1, graded=False), features))


def test_separable_planted_labels_are_read_without_an_error(rng):
    labels = rng.permutation(np.arange(200) % 2)
    features = rng.uniform(-0.01, 0.01, (200, 4))
    features[:, 2] += labels
    found = fit(features, train_of(rng, labels, 100), [1e-3, 1.0])
    assert found.held_out == 1
    assert np.array_equal(found.scores > 0, labels == 1)


def test_permuted_labels_give_chance_on_pairs_that_were_not_seen(rng):
    """However it was fitted, the control says nothing of 4,000 other labels: a binomial count, 6 errors wide."""
    features = rng.standard_normal((4100, 20))
    labels = rng.integers(0, 2, 4100)
    found = fit(features, train_of(rng, labels, 100), [0.1])
    right = np.sum((found.control[100:] > 0) == (labels[100:] == 1))
    assert abs(right - 2000) < 6 * np.sqrt(4000 / 4)
    assert not np.allclose(found.control, found.scores)


def test_of_equally_good_strengths_the_smallest_is_taken(rng):
    labels = np.arange(60) % 2
    found = fit(labels[:, None] + rng.uniform(-0.1, 0.1, (60, 1)), train_of(rng, labels, 60), [10.0, 0.1, 1.0])
    assert (found.held_out, found.strength) == (1, 0.1)


def test_a_feature_without_spread_does_no_harm(rng):
    features, labels = noisy(rng)
    train = train_of(rng, labels, 80)
    with_constant = np.column_stack([features, np.full(120, 7.0)])
    assert fit(with_constant, train, [0.1]).scores == pytest.approx(fit(features, train, [0.1]).scores, abs=1e-4)


def test_figures_by_hand():
    assert figure(np.array([-1.0, 2, 0, 3]), np.array([0.0, 1, 1, 0]), graded=False) == 0.5  # 0 is no 1
    assert figure(np.array([1.0, 2, 3]), np.array([0.5, 2, 4]), graded=True) == 1
    assert figure(np.zeros(3), np.array([0.5, 2, 4]), graded=True) == -1
