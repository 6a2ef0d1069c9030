"""Features of pairs and train labels -> a fitted linear function, and the strength of its penalty.

0/1 labels: L2-regularised logistic regression (scikit-learn, L-BFGS). Grades: ridge regression. Features are
standardised on the pairs that are fitted on. No other pair's label is read.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.stats.ranks import spearman

ITERATIONS = 5000
"""of L-BFGS at most; some 10 to 100 are needed"""


@dataclass(frozen=True)
class TrainPairs:
    """The n pairs that probes are fitted on."""

    rows: np.ndarray
    """(n,) their numbers among all pairs"""
    labels: np.ndarray
    """(n,)"""
    permuted: np.ndarray
    """(n,) the same in another order, for the control"""
    fold: np.ndarray
    """(n,) the inner fold of each, 0, 1, ..."""
    graded: bool
    """whether labels are grades rather than 0 and 1"""


@dataclass(frozen=True)
class Fitted:
    """A probe, and its control."""

    strength: float
    """C, the one that is best on the inner folds"""
    held_out: float
    """accuracy, or rho of grades, on the train pairs, each scored by the fit that held its fold out"""
    scores: np.ndarray
    """(P,) of all pairs: the log-odds of label 1, or the predicted grade"""
    train: float
    """accuracy or rho on the train pairs themselves"""
    control: np.ndarray
    """(P,) scores of a fit to permuted train labels with the same C"""
    control_train: float
    """accuracy or rho on the train pairs with their permuted labels: how much such a probe memorises"""


def fit(features: np.ndarray, train: TrainPairs, strengths: list[float]) -> Fitted:
    """Features of all pairs (P, F) and the train pairs -> a probe. Of equally good strengths the smallest is taken."""
    seen, ascending = features[train.rows], sorted(strengths)
    figures = [figure(held_out(seen, train, strength), train.labels, train.graded) for strength in ascending]
    best = int(np.argmax(figures))
    strength = ascending[best]
    scores = predict(fitted(seen, train.labels, strength, train.graded), features)
    control = predict(fitted(seen, train.permuted, strength, train.graded), features)
    of_train = figure(scores[train.rows], train.labels, train.graded)
    of_control = figure(control[train.rows], train.permuted, train.graded)
    return Fitted(strength, figures[best], scores, of_train, control, of_control)


def held_out(seen: np.ndarray, train: TrainPairs, strength: float) -> np.ndarray:
    """Scores of the train pairs (n,), features (n, F): each by the fit that held its fold out."""
    scores = np.empty(len(seen))
    for fold in np.unique(train.fold):
        inside = train.fold == fold
        model = fitted(seen[~inside], train.labels[~inside], strength, train.graded)
        scores[inside] = predict(model, seen[inside])
    return scores


def figure(scores: np.ndarray, labels: np.ndarray, graded: bool) -> float:
    """The accuracy of scores above 0 as label 1 or, of grades, Spearman's rho; -1 where that is undefined."""
    if graded:
        rho = spearman(scores, labels)
        return -1.0 if rho is None else rho
    return float(np.mean((scores > 0) == (labels == 1)))


def fitted(features: np.ndarray, labels: np.ndarray, strength: float, graded: bool) -> Any:
    """A scikit-learn pipeline: features (n, F) standardised, then regressed on labels (n,)."""
    from sklearn.linear_model import LogisticRegression, Ridge  # seconds, which a model that is left out need not wait
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = Ridge(alpha=1 / strength) if graded else LogisticRegression(C=strength, max_iter=ITERATIONS)
    return make_pipeline(StandardScaler(), model).fit(features, labels)


def predict(model: Any, features: np.ndarray) -> np.ndarray:
    """Log-odds of label 1, or grades: features (n, F) -> (n,)."""
    return model.decision_function(features) if hasattr(model, "decision_function") else model.predict(features)
