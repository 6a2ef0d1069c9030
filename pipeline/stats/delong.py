"""AUCs and their differences without resampling: a second opinion on what the bootstrap says."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from pipeline.stats.ranks import is_binary, midranks
from pipeline.stats.significance import ROUNDING


def delong(
    scores: np.ndarray, labels: np.ndarray, component: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """AUCs and their covariance: scores (K, n), labels (n,) of 0 and 1 -> auc (K,), covariance (K, K).

    A positive's placement is the share of negatives below it, a negative's the share of positives above it, ties half
    (by midranks: Sun and Xu 2014, IEEE SPL 21); AUC is the mean of either. With a (K, C) the sums over components of
    the m positives' placements minus AUC, b of the n negatives', over I1, I0, I components that have positives,
    negatives, any,

        cov = I1 / (I1 - 1) a a^T / m^2 + I0 / (I0 - 1) b b^T / n^2 + I / (I - 1) (a b^T + b a^T) / (m n)

    (Obuchowski 1997, Biometrics 53). Every pair a component of its own, the default, is DeLong et al. 1988,
    Biometrics 44. ValueError where a label has fewer than two components.
    """
    positive = labels == 1
    m, n = int(positive.sum()), int((~positive).sum())
    units = np.arange(len(labels)) if component is None else component
    names, where = np.unique(units, return_inverse=True)
    clusters = [len(np.unique(where[kind])) for kind in (positive, ~positive, slice(None))]
    if not is_binary(labels) or min(clusters) < 2:
        raise ValueError(
            f"{clusters[0]} components with positives and {clusters[1]} with negatives: labels 0 and 1 in at least 2 "
            "components each are needed"
        )
    auc = np.empty(len(scores))
    a, b = np.empty((2, len(scores), len(names)))
    for row, values in enumerate(scores):
        ranks = midranks(values)
        of_positives = (ranks[positive] - midranks(values[positive])) / n
        of_negatives = 1 - (ranks[~positive] - midranks(values[~positive])) / m
        auc[row] = of_positives.mean()
        a[row] = np.bincount(where[positive], of_positives - auc[row], len(names))
        b[row] = np.bincount(where[~positive], of_negatives - auc[row], len(names))
    corrections = [count / (count - 1) for count in clusters]
    cross = corrections[2] * (a @ b.T + b @ a.T) / (m * n)
    return auc, corrections[0] * a @ a.T / m**2 + corrections[1] * b @ b.T / n**2 + cross


@dataclass(frozen=True)
class Comparisons:
    """Every two of K AUCs."""

    difference: np.ndarray
    """(K, K) auc_i - auc_j"""
    error: np.ndarray
    """(K, K) its standard error; NaN where the difference does not vary: the same order of pairs"""
    p: np.ndarray
    """(K, K) two-sided; NaN where the error is"""


def delong_test(auc: np.ndarray, covariance: np.ndarray) -> Comparisons:
    """Every two AUCs of `delong`: auc (K,), covariance (K, K). difference / error is normal in large samples."""
    difference = auc[:, None] - auc
    own = np.diag(covariance)[:, None] + np.diag(covariance)
    variance = own - 2 * covariance
    error = np.sqrt(np.where(variance > ROUNDING * own, variance, np.nan))
    return Comparisons(difference, error, 2 * ndtr(-np.abs(difference) / error))
