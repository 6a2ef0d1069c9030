"""0/1 decisions by a threshold on the scores."""

from dataclasses import dataclass

import numpy as np

from pipeline.stats.ranks import is_binary


@dataclass(frozen=True)
class ThresholdMetrics:
    """How well "score > threshold" separates positives from negatives."""

    threshold: float
    """the one that is most often right on train; -inf: all positive, inf: none"""
    accuracy: float
    """share of pairs that are classified rightly"""
    f1: float
    """of the positives; NaN for 0 / 0"""
    balanced_accuracy: float
    """mean of both recalls; NaN where one label only occurs"""
    mcc: float
    """Matthews' correlation coefficient; 0 where one class only is predicted (as in scikit-learn)"""


def threshold_metrics(
    train_scores: np.ndarray, train_labels: np.ndarray, scores: np.ndarray, labels: np.ndarray
) -> ThresholdMetrics:
    """Classification of other pairs by the threshold that is most often right on train: four vectors.

    Candidates are the midpoints between neighbouring train scores, and -inf and inf; of equals the smallest.
    ValueError for labels that are grades.
    """
    if not (is_binary(train_labels) and is_binary(labels)):
        raise ValueError("labels are grades, expected 0 and 1: a threshold divides two classes")
    predicted = scores > (threshold := best_threshold(train_scores, train_labels))
    positive = labels == 1
    tp, fp = float((predicted & positive).sum()), float((predicted & ~positive).sum())
    fn, tn = float((~predicted & positive).sum()), float((~predicted & ~positive).sum())
    with np.errstate(invalid="ignore"):
        f1, recall, specificity = np.divide([2 * tp, tp, tn], [2 * tp + fp + fn, tp + fn, tn + fp])
    margins = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return ThresholdMetrics(
        threshold=threshold,
        accuracy=(tp + tn) / len(labels),
        f1=float(f1),
        balanced_accuracy=float((recall + specificity) / 2),
        mcc=float((tp * tn - fp * fn) / np.sqrt(margins)) if margins else 0.0,
    )


def best_threshold(scores: np.ndarray, labels: np.ndarray) -> float:
    """The threshold above which calling a pair positive is most often right: scores (n,), labels (n,) of 0 and 1."""
    values, group = np.unique(scores, return_inverse=True)
    # negatives minus positives of each value: what is gained by moving the threshold above it
    gain = np.bincount(group, 1 - 2 * labels)
    middle = values[:-1] + np.diff(values) / 2
    # where no number lies in between, the middle is rounded up and would take the wrong side
    middle = np.where(middle < values[1:], middle, values[:-1])
    candidates = np.concatenate([[-np.inf], middle, [np.inf]])
    return float(candidates[np.argmax(np.append(0, gain.cumsum()))])
