"""Statistics of pairs that are repeated: rho, r and AUC of many sets of weights at once.

This is where a bootstrap spends its time.

A pair that a resample draws three times has weight 3. Let W(<) and W(<=) be the summed weights of the scores below a
score and of those not above it, and N the sum of all weights. The midrank of a repeated score, minus 1/2, is
r = (W(<) + W(<=)) / 2; s is the same of its label, minus the mean N / 2. Then

    rho = sum w r s / sqrt(spread of r times spread of s),    spread = (N^3 - sum g^3) / 12,

with the summed weights g of groups of ties (Kendall 1945, Biometrika 33): the same for all scores without ties. For
0/1 labels with M ones, s takes two values N / 2 apart, so sum w r s = N / 2 M (N - M) (AUC - 1 / 2). All sums are of
multiples of 1/4, and exact up to some 100,000 pairs, so their order is no matter.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.stats.ranks import STATISTICS, is_binary, order_of
from pipeline.stats.running_sums import Places, RunningSums

CELLS = 1 << 18
"""pairs times resamples in a slice of matrix products"""
SLICES = 2
"""slices that are summed by ranks at once: their numbers have a quarter of the bytes, and both stay in the cache"""

Draw = Callable[[int, int], np.ndarray]
"""(start, stop) -> whole numbers (n, stop - start): how often each pair occurs in the resamples start to stop - 1"""
Each = Callable[[range], Iterable[int]]
"""gives the blocks of resamples one by one, and may show how many are done"""


def weighted_statistics(
    scores: np.ndarray,
    labels: np.ndarray,
    draw: Draw,
    count: int,
    wanted: Sequence[str] = tuple(STATISTICS),
    each: Each = iter,
) -> dict[str, np.ndarray]:
    """Statistics of the pairs repeated w times each, for `count` choices of whole numbers w, in bounded memory.

    scores (K, n), labels (n,); draw is called for consecutive blocks from 0 to count -> {statistic: (K, count)} for
    those wanted, NaN where it is undefined: one label or one score only, AUC of graded labels.
    """
    values = {name: np.full((len(scores), count), np.nan) for name in wanted}
    step = min(max(4, CELLS // len(labels) // 4 * 4), math.ceil(count / 4) * 4)  # whole registers of four numbers
    moments = _Moments(scores, labels, step) if "pearson" in wanted else None
    ranks = _Ranks(scores, labels) if {"spearman", "auc"} & set(wanted) else None
    for start in each(range(0, count, step * SLICES)):
        stop = min(start + step * SLICES, count)
        weights = draw(start, stop)
        block = moments.pearson(weights) if moments else {}
        block |= ranks.spearman_and_auc(weights) if ranks else {}
        for name in wanted:
            values[name][:, start:stop] = block[name]
    return values


class _Moments:
    """Pearson's r of weighted pairs, by matrix products."""

    def __init__(self, scores: np.ndarray, labels: np.ndarray, step: int) -> None:
        self.x, self.y, self.step = scores - scores.mean(axis=1, keepdims=True), labels - labels.mean(), step
        self.xx = self.x**2

    def pearson(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Weights (n, B) -> r (K, B)."""
        r = np.empty((len(self.x), weights.shape[1]))
        w = np.zeros((len(weights), self.step))
        for start in range(0, weights.shape[1], self.step):
            columns = weights[:, start : start + self.step]
            count = columns.shape[1]
            w[:, :count] = columns  # the last slice has columns to spare
            r[:, start : start + self.step] = self._slice(w)[:, :count]
        return {"pearson": r}

    def _slice(self, w: np.ndarray) -> np.ndarray:
        total, y = w.sum(axis=0), self.y
        wx, wxx, wxy, wy, wyy = self.x @ w, self.xx @ w, self.x @ (w * y[:, None]), y @ w, y**2 @ w
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = _beyond_rounding(wxx, wx**2 / total) * _beyond_rounding(wyy, wy**2 / total)
            return (wxy - wx * wy / total) / np.sqrt(spread)


def _beyond_rounding(total: np.ndarray, share: np.ndarray) -> np.ndarray:
    """A weighted sum of squares about the mean, NaN where it is nothing but rounding."""
    spread = total - share
    return np.where(spread > 1e-12 * total, spread, np.nan)


class _Ranks:
    """Spearman's rho and AUC of weighted pairs, by running sums of weights in the order of the scores.

    sum w r s is wanted for each row of scores. With R = 2 r and t = 2 s it is a quarter of sum w t R. Whatever the
    scores, sum w R = N^2, so t may be counted from that of any label, here the most frequent one, L:

        sum w t R = t_L N^2 + sum over the other labels of w (t - t_L) R,

    so that R is looked up for the pairs with other labels only.
    """

    def __init__(self, scores: np.ndarray, labels: np.ndarray) -> None:
        self.labels, self.binary = order_of(labels), is_binary(labels)
        self.most_frequent = int(np.bincount(self.labels.group).argmax())
        self.others = np.flatnonzero(self.labels.group != self.most_frequent)
        self.positive = np.flatnonzero(labels == 1)
        self.label_places = Places.of(self.labels, self.others, np.arange(len(self.labels.ends)))
        orders = map(order_of, scores)  # one at a time: an order takes more than its places
        self.places = [Places.of(order, self.others, np.flatnonzero(order.sizes > 1)) for order in orders]

    def spearman_and_auc(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Weights (n, B) -> rho and AUC, (K, B) each."""
        sums = RunningSums(weights)
        total, terms = sums.total, self._label_terms(sums, weights)
        cubes = _cubes(weights.astype(np.float64))
        untied, total_cubed = cubes.sum(axis=0), _cubes(total)
        shared = np.empty((len(self.places), len(total)))  # sum w r s
        spread = np.empty_like(shared)  # of r, times 12
        for row, places in enumerate(self.places):
            sums.fill(places.layout)
            upto = sums.product(terms.factors, places.upto)
            if places.tied.any():
                below = sums.product(terms.factors, places.below)
                groups = sums.of_groups(places.starts, places.ends)
                lone = _sum_where(~places.tied, cubes, untied)
                spread[row] = total_cubed - (lone + _cubes(groups).sum(axis=0))
            else:
                below = upto - terms.own  # W(<) = W(<=) - w
                spread[row] = total_cubed - untied
            shared[row] = (terms.constant + upto + below) / 4
        ones = weights[self.positive].sum(axis=0, dtype=np.float64)  # M
        with np.errstate(invalid="ignore", divide="ignore"):
            rho = shared / np.sqrt(spread / 12 * terms.spread)
            auc = shared / (total / 2 * ones * (total - ones)) + 0.5
        return {"spearman": rho, "auc": auc if self.binary else np.full_like(rho, np.nan)}

    def _label_terms(self, sums: RunningSums, weights: np.ndarray) -> "_LabelTerms":
        sums.fill(self.label_places.layout)
        groups = sums.of_groups(self.label_places.starts, self.label_places.ends)  # g of the labels, (G, B)
        t = 2 * groups.cumsum(axis=0) - groups - sums.total  # (G, B)
        counted_from_most_frequent = (t - t[self.most_frequent])[self.labels.group[self.others]]
        w = weights[self.others].astype(np.float64)
        factors = w * counted_from_most_frequent
        return _LabelTerms(
            factors=factors,
            own=np.einsum("nb,nb->b", factors, w),
            constant=t[self.most_frequent] * sums.total**2,
            spread=(_cubes(sums.total) - _cubes(groups).sum(axis=0)) / 12,
        )


def _cubes(values: np.ndarray) -> np.ndarray:
    return values * values * values  # values**3 takes ten times as long


def _sum_where(mask: np.ndarray, values: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Sum of some rows, or what the others leave of the total, whichever are fewer: (n,), (n, B), (B,) -> (B,)."""
    return values[mask].sum(axis=0) if 2 * mask.sum() < len(mask) else total - values[~mask].sum(axis=0)


@dataclass(frozen=True)
class _LabelTerms:
    """What the labels contribute to sum w t R, the same for all rows of scores."""

    factors: np.ndarray
    """(others, B) w (t - t_L)"""
    own: np.ndarray
    """(B,) sum of w (t - t_L) w"""
    constant: np.ndarray
    """(B,) t_L N^2"""
    spread: np.ndarray
    """(B,) of s"""
