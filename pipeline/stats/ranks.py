"""How well scores order pairs as their labels do: Spearman's rho, Pearson's r and AUC, and how far ties limit them."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Order:
    """n values in ascending order, with their G groups of equal values."""

    order: np.ndarray
    """(n,) numbers of the values, the smallest first"""
    group: np.ndarray
    """(n,) the group of each value, 0 to G - 1, the smallest first"""
    ends: np.ndarray
    """(G,) how many values are in a group or below it"""

    @property
    def starts(self) -> np.ndarray:
        """(G,) how many values are below a group."""
        return np.append(0, self.ends[:-1])

    @property
    def sizes(self) -> np.ndarray:
        """(G,) how many values are in a group."""
        return self.ends - self.starts


def order_of(values: np.ndarray) -> Order:
    """The order of values (n,)."""
    order = np.argsort(values)
    ascending = values[order]
    starts_group = np.append(True, ascending[1:] != ascending[:-1])
    group = np.empty(len(values), dtype=np.intp)
    group[order] = np.cumsum(starts_group) - 1
    return Order(order, group, np.append(np.flatnonzero(starts_group)[1:], len(values)))


def midranks(values: np.ndarray) -> np.ndarray:
    """Ranks 1 to n of values (n,) -> (n,); equal values share the mean of their ranks."""
    order = order_of(values)
    return ((order.starts + order.ends + 1) / 2)[order.group]


def spearman(scores: np.ndarray, labels: np.ndarray) -> float | None:
    """Spearman's rho of two vectors (n,), with midranks for ties.

    None where all scores are equal, such as those of last tokens that are all ".", or all labels.
    """
    rho = spearman_rows(scores[None], labels)[0]
    return float(rho) if np.isfinite(rho) else None


def spearman_rows(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Spearman's rho of each row of scores (K, n) with labels (n,) -> (K,), NaN where it is undefined.

    To the last digit what scipy.stats.spearmanr gives: sums of products of centred midranks are exact, and the
    divisions are done in its order.
    """
    rho = np.full(len(scores), np.nan)
    if np.ptp(labels) == 0:
        return rho
    share = 1 / (len(labels) - 1)
    centre = (len(labels) + 1) / 2
    y = midranks(labels) - centre
    deviation_y = np.sqrt(y @ y * share)
    for row, values in enumerate(scores):
        if np.ptp(values) != 0:
            x = midranks(values) - centre
            rho[row] = x @ y * share / deviation_y / np.sqrt(x @ x * share)
    return np.clip(rho, -1, 1)


def pearson(scores: np.ndarray, labels: np.ndarray) -> float | None:
    """Pearson's r of two vectors (n,) (SciPy); None where all scores or all labels are equal."""
    from scipy import stats

    if np.ptp(scores) == 0 or np.ptp(labels) == 0:
        return None
    return float(stats.pearsonr(scores, labels).statistic)


def auc(scores: np.ndarray, labels: np.ndarray) -> float | None:
    """Probability that a positive pair scores above a negative one, ties counting half (Mann-Whitney U).

    None for graded labels, and where all labels are equal.
    """
    if not is_binary(labels) or np.ptp(labels) == 0:
        return None
    positives = int(labels.sum())
    u = midranks(scores)[labels == 1].sum() - positives * (positives + 1) / 2
    return float(u / (positives * (len(labels) - positives)))


def is_binary(labels: np.ndarray) -> bool:
    """Whether labels are 0 and 1 rather than grades."""
    return set(np.unique(labels)) <= {0.0, 1.0}


STATISTICS = {"spearman": spearman, "pearson": pearson, "auc": auc}
"""name -> function of scores (n,) and labels (n,); None where it is undefined"""


def ceiling(labels: np.ndarray) -> float:
    """The largest rho that scores without ties can reach against labels (n,).

    sqrt(1 - sum_g (t_g^3 - t_g) / (n^3 - n)) over groups of t_g equal labels. For 0/1 labels with a share p of
    positives this is sqrt(3 p (1 - p)) up to 1 / n^2.
    """
    n, groups = len(labels), np.unique(labels, return_counts=True)[1].astype(np.float64)
    return float(np.sqrt(1 - (groups**3 - groups).sum() / (float(n) ** 3 - n)))


def tied_share(scores: np.ndarray) -> float:
    """Share of pairs whose score another pair has too."""
    counts = np.unique(scores, return_counts=True)[1]
    return float(counts[counts > 1].sum() / len(scores))
