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
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.stats.ranks import STATISTICS, is_binary, order_of
from pipeline.stats.running_sums import RunningSums, blocks_of

CELLS = 1 << 18
"""pairs times resamples in a slice of matrix products"""
NARROWEST = 32
"""resamples in a slice, however many the pairs"""
LINE = 64
"""resamples that are drawn at once, at least: weights of a pair, mostly of a byte, then fill a line of the cache"""
ROWS = 1 << 12
"""pairs at once in sums that need copies of their weights"""

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
    those wanted, NaN where it is undefined: one label or one score only, AUC of graded labels. What is held of n pairs
    is LINE resamples with a byte each, and 4 to 24 bytes for each score: 200 bytes a pair, 600 where all labels differ.
    """
    values = {name: np.full((len(scores), count), np.nan) for name in wanted}
    step = min(max(NARROWEST, CELLS // len(labels) // 4 * 4), math.ceil(count / 4) * 4)  # whole registers of four
    at_once = step * math.ceil(LINE / step)
    moments = _Moments(scores, labels, step) if "pearson" in wanted else None
    ranks = _Ranks(scores, labels, at_once) if {"spearman", "auc"} & set(wanted) else None
    for start in each(range(0, count, at_once)):
        stop = min(start + at_once, count)
        weights = draw(start, stop)
        block = moments.pearson(weights) if moments else {}
        block |= ranks.spearman_and_auc(weights) if ranks else {}
        for name in wanted:
            values[name][:, start:stop] = block[name]
    return values


class _Moments:
    """Pearson's r of weighted pairs, by matrix products."""

    def __init__(self, scores: np.ndarray, labels: np.ndarray, step: int) -> None:
        self.scores, self.mean, self.y = scores, scores.mean(axis=1, keepdims=True), labels - labels.mean()
        self.w = np.zeros((min(len(labels), max(1, CELLS // step)), step))  # some pairs' weights in a slice

    def pearson(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Weights (n, B) -> r (K, B)."""
        r, step = np.empty((len(self.scores), weights.shape[1])), self.w.shape[1]
        for start in range(0, weights.shape[1], step):
            r[:, start : start + step] = self._slice(weights[:, start : start + step])
        return {"pearson": r}

    def _slice(self, weights: np.ndarray) -> np.ndarray:
        pairs = range(0, len(weights), len(self.w))
        parts = zip(*(self._sums(start, weights[start : start + len(self.w)]) for start in pairs))
        total, wx, wxx, wxy, wy, wyy = (sum(part[1:], part[0])[..., : weights.shape[1]] for part in parts)
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = _beyond_rounding(wxx, wx**2 / total) * _beyond_rounding(wyy, wy**2 / total)
            return (wxy - wx * wy / total) / np.sqrt(spread)

    def _sums(self, start: int, weights: np.ndarray) -> tuple[np.ndarray, ...]:
        """Weighted sums of moments of the pairs from `start` on, in all columns of a slice."""
        w, pairs = self.w[: len(weights)], slice(start, start + len(weights))
        w[:, : weights.shape[1]] = weights  # the last slice has columns to spare
        x, y = self.scores[:, pairs] - self.mean, self.y[pairs]
        return w.sum(axis=0), x @ w, x**2 @ w, x @ (w * y[:, None]), y @ w, y**2 @ w


def _beyond_rounding(total: np.ndarray, share: np.ndarray) -> np.ndarray:
    """A weighted sum of squares about the mean, NaN where it is nothing but rounding."""
    spread = total - share
    return np.where(spread > 1e-12 * total, spread, np.nan)


class _Ranks:
    """Spearman's rho and AUC of weighted pairs, by running sums of weights in the order of the scores.

    sum w r s is wanted for each row of scores. With R = 2 r and t = 2 s it is a quarter of sum w t R. Whatever the
    scores, sum w R = N^2, so t may be counted from that of any label, here the most frequent one, L:

        sum w t R = t_L N^2 + sum over the other labels of w (t - t_L) R,

    so that R is looked up for the pairs with other labels only. Where a pair has a score of its own, R = 2 W(<=) - w
    needs one look.
    """

    def __init__(self, scores: np.ndarray, labels: np.ndarray, columns: int) -> None:
        self.labels, self.binary = order_of(labels), is_binary(labels)
        self.most_frequent = int(self.labels.sizes.argmax())
        self.is_other = np.arange(len(self.labels.ends)) != self.most_frequent
        looked_up = self.is_other[self.labels.group]
        every, none = np.ones(len(self.is_other), bool), np.zeros(len(labels), bool)
        self.label_blocks = blocks_of(self.labels, none, every, columns)
        self.rows = []
        for row in scores:  # one at a time: an order takes more than its blocks
            order = order_of(row)
            is_tied = order.sizes > 1
            self.rows.append((blocks_of(order, looked_up, is_tied, columns), *_fewer(~is_tied[order.group])))

    def spearman_and_auc(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Weights (n, B) -> rho and AUC, (K, B) each."""
        sums = RunningSums(weights, len(self.label_blocks[0].layout))
        total, terms = sums.total, self._label_terms(sums, weights)
        of_all = terms.own(np.arange(len(weights)))
        shared = np.empty((len(self.rows), len(total)))  # sum w r s
        spread = np.empty_like(shared)  # of r, times 12
        for row, (blocks, mostly_lone, fewer) in enumerate(self.rows):
            looked_up, cubes = np.zeros((2, len(total)))
            for block, start, end in sums.walk(blocks):
                looked_up += 2 * sums.product(terms.factors, block.lone)
                looked_up += sums.product(terms.factors, block.upto) + sums.product(terms.factors, block.below)
                cubes += _sum_of_cubes(end - start)
            own, lone = of_all - terms.own(fewer) if mostly_lone else terms.own(fewer)
            shared[row] = (terms.constant + terms.scale * (looked_up - own)) / 4
            spread[row] = _cubes(total) - (lone + cubes)
        spread[spread <= 0] = np.nan  # all scores are equal
        with np.errstate(invalid="ignore", divide="ignore"):
            rho = shared / np.sqrt(spread / 12 * terms.spread)
            auc = shared / (total / 2 * terms.ones * (total - terms.ones)) + 0.5
        return {"spearman": rho, "auc": auc if self.binary else np.full_like(rho, np.nan)}

    def _label_terms(self, sums: RunningSums, weights: np.ndarray) -> "_LabelTerms":
        total = sums.total
        largest = 2 * int(total.max(initial=0)) * int(weights.max(initial=0))  # of w (t - t_L)
        kind = np.int32 if largest < 1 << 31 else np.float64
        t, done, cubes = np.empty((len(self.is_other), len(total)), kind), 0, np.zeros(len(total))
        for _, start, end in sums.walk(self.label_blocks):
            t[done : done + len(end)] = start.astype(np.float64) + end - total
            cubes += _sum_of_cubes(end - start)
            done += len(end)
        ones, constant = total - t[-1], t[self.most_frequent] * total**2
        t -= t[self.most_frequent].copy()
        scale = np.ones(len(total))
        if len(t) <= 2:  # t - t_L is the same for all others: their factors can stay small
            t, scale = self.is_other[:, None].astype(weights.dtype), t.sum(axis=0)
        factors = np.empty(weights.shape, t.dtype)
        for part in _parts(len(weights)):
            np.multiply(weights[part], t[self.labels.group[part]], out=factors[part], casting="unsafe")
        return _LabelTerms(weights, factors, scale, constant, (_cubes(total) - cubes) / 12, ones)


def _cubes(values: np.ndarray) -> np.ndarray:
    return values * values * values  # values**3 takes ten times as long


def _sum_of_cubes(counts: np.ndarray) -> np.ndarray:
    """Whole numbers (n, B) -> the sums of their cubes (B,)."""
    return np.einsum("nb,nb,nb->b", counts, counts, counts, dtype=np.float64)


def _parts(count: int) -> Iterator[slice]:
    return (slice(start, start + ROWS) for start in range(0, count, ROWS))


def _fewer(rows: np.ndarray) -> tuple[bool, np.ndarray]:
    """Some rows (n,) bool -> whether they are more than the others, and the numbers of the fewer."""
    most = 2 * int(rows.sum()) > len(rows)
    return most, np.flatnonzero(~rows if most else rows).astype(np.int32)


@dataclass(frozen=True)
class _LabelTerms:
    """What the labels contribute to sum w t R, the same for all rows of scores."""

    weights: np.ndarray
    """(n, B)"""
    factors: np.ndarray
    """(n, B) w (t - t_L) / `scale`"""
    scale: np.ndarray
    """(B,) t - t_L of all other labels, where it is the same, or 1"""
    constant: np.ndarray
    """(B,) t_L N^2"""
    spread: np.ndarray
    """(B,) of s"""
    ones: np.ndarray
    """(B,) summed weights of the largest label: M where labels are 0 and 1"""

    def own(self, pairs: np.ndarray) -> np.ndarray:
        """Sums of w^2 (t - t_L) / `scale` and of w^3 over some pairs: their numbers (P,) -> (2, B)."""
        sums = np.zeros((2, len(self.scale)))
        for part in _parts(len(pairs)):
            w = self.weights[pairs[part]]
            sums[0] += np.einsum("nb,nb->b", self.factors[pairs[part]], w, dtype=np.float64)
            sums[1] += _sum_of_cubes(w)
        return sums
