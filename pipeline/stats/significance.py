"""p-values and power from resamples: against zero, of paired differences and of trends; Holm's correction for many."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from pipeline.stats.bootstrap import ROUNDING, interval, standard_error


@dataclass(frozen=True)
class Estimate:
    """K values with their intervals and tests."""

    value: np.ndarray
    """(K,)"""
    low: np.ndarray
    """(K,) percentile interval, NaN where no resample is defined"""
    high: np.ndarray
    """(K,)"""
    p: np.ndarray
    """(K,) two-sided, of a true value of 0; NaN where the value or the interval is undefined"""


def against_zero(estimate: np.ndarray, resampled: np.ndarray, confidence: float) -> Estimate:
    """Percentile interval and two-sided p-value of "the true value is 0": estimate (K,), resampled (K, B).

    p = (1 + #{|t* - t| >= |t|}) / (1 + B), the centred bootstrap: t* - t behaves as t would if the true value were 0
    (Hall and Wilson 1991, Biometrics 47, first guideline; the + 1, Davison and Hinkley 1997, chapter 4, keeps p from
    being 0). Inverting the percentile interval instead would look up the spread on the wrong side of a skewed t*. So
    p < 1 - confidence and an interval without 0 can disagree near the border.
    """
    low, high = interval(resampled, confidence)
    defined = np.isfinite(resampled).sum(axis=1)
    extreme = (np.abs(resampled - estimate[:, None]) >= np.abs(estimate[:, None]) - ROUNDING).sum(axis=1)
    p = np.where(np.isfinite(estimate) & (defined > 0) & np.isfinite(low), (1 + extreme) / (1 + defined), np.nan)
    return Estimate(estimate, low, high, p)


def difference(
    a: np.ndarray, b: np.ndarray, resampled_a: np.ndarray, resampled_b: np.ndarray, confidence: float
) -> Estimate:
    """The paired difference a - b: a, b (K,), resampled (K, B) or a row that all share."""
    return against_zero(a - b, resampled_a - resampled_b, confidence)


def trend(layers: np.ndarray, estimates: np.ndarray, resampled: np.ndarray, confidence: float) -> Estimate:
    """Least-squares slope of a statistic on the layer number: layers, estimates (L,), resampled (L, B) -> K = 1.

    slope = sum_l (l - mean l) s_l / sum_l (l - mean l)^2: the average gain per layer, whatever the shape of the curve.
    Layers are no sample and their errors are strongly correlated, so the textbook's error of a slope does not hold; the
    slope of every resampled curve does carry the pairs' uncertainty. A layer without an estimate is left out; NaN where
    fewer than two are left.
    """
    kept = np.isfinite(estimates)
    if kept.sum() < 2:
        return Estimate(*np.full((4, 1), np.nan))
    centred = layers[kept] - layers[kept].mean()
    slopes = centred / (centred @ centred)
    return against_zero((slopes @ estimates[kept])[None], (slopes @ resampled[kept])[None], confidence)


def holm(p: np.ndarray) -> np.ndarray:
    """Adjusted p-values of m tests (Holm 1979, Scand. J. Statistics 6): p (m,) -> (m,).

    max_{j <= i} min(1, (m - j + 1) p_(j)) in ascending order. Tests whose adjusted p is at most alpha reject any true
    hypothesis with probability alpha at most, however dependent they are. NaN is no test.
    """
    adjusted = np.full(len(p), np.nan)
    order = np.argsort(p)[: np.isfinite(p).sum()]  # NaN sorts last
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return adjusted


def minimal_detectable_difference(resampled: np.ndarray, power: float = 0.8, alpha: float = 0.05) -> np.ndarray:
    """Minimum detectable difference: resampled differences (..., B) -> (...).

    The true difference that a two-sided test at level alpha finds with this power: (z_{1 - alpha / 2} + z_power)
    times the bootstrap's standard error, which is taken to be the same at 0 and at that difference.
    """
    return (ndtri(1 - alpha / 2) + ndtri(power)) * standard_error(resampled)


def pairs_needed(resampled: np.ndarray, n: int, target: float = 0.05) -> np.ndarray:
    """Pairs with which a difference of `target` is detectable: resampled differences (..., B) of n pairs -> (...).

    n (MDD / target)^2: a standard error falls with the square root of the pairs, if more of them are of the same kind
    and share sentences as much.
    """
    return n * (minimal_detectable_difference(resampled) / target) ** 2
