"""Multiple comparisons with the best, which was not named beforehand but selected for being best."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from pipeline.stats.bootstrap import ROUNDING, standard_error


@dataclass(frozen=True)
class BelowBest:
    """K values minus the largest of them; all but `value` is NaN for the best itself and where nothing is resampled."""

    value: np.ndarray
    """(K,) 0 at most"""
    low: np.ndarray
    """(K,) intervals that hold for all pairs of the K at once"""
    high: np.ndarray
    """(K,)"""
    p: np.ndarray
    """(K,) two-sided, of no difference, adjusted for all pairs"""
    detectable: np.ndarray
    """(K,) the true difference that these tests find with the given power"""


def below_best(estimates: np.ndarray, resampled: np.ndarray, confidence: float, power: float = 0.8) -> BelowBest:
    """Each of K against the largest: estimates (K,), resampled (K, B).

    The largest estimate owes something to luck, so a test against it as if it had been named beforehand rejects too
    often. Here all pairs are compared at once, whichever came out best: with D = max_ij |d*_ij - d_ij| / error_ij in
    each resample, p = (1 + #{D >= |d| / error}) / (1 + B), and intervals are d +- quantile(D) error, as in `bands`. For
    independent rows of equal error, D is Tukey's studentised range / sqrt 2. No correction comes on top: that any of
    the tests rejects a true hypothesis has probability alpha at most. A resample counts if it is defined in all rows
    that have an estimate and spread.
    """
    undefined = np.full(len(estimates), np.nan)
    usable = np.isfinite(estimates) & (standard_error(resampled) > ROUNDING)
    rows = resampled[usable]
    rows = rows[:, np.isfinite(rows).all(axis=0)]
    if not np.isfinite(estimates).any():
        return BelowBest(*[undefined] * 5)
    best = int(np.nanargmax(estimates))
    value = estimates - estimates[best]
    if usable.sum() < 2 or not usable[best] or rows.shape[1] < 2:
        return BelowBest(value, *[undefined] * 4)
    deviations = rows - estimates[usable, None]
    largest = largest_difference(deviations)
    error = undefined.copy()
    error[usable] = np.std(deviations - deviations[np.flatnonzero(usable) == best], axis=1, ddof=1)
    error[best] = np.nan
    standardised = np.divide(-value, error, out=np.zeros(len(value)), where=error > ROUNDING)
    extreme = (largest >= standardised[:, None] - ROUNDING).sum(axis=1)
    p = np.where(np.isfinite(error), (1 + extreme) / (1 + len(largest)), np.nan)
    quantile = np.quantile(largest, confidence)
    width = quantile * error
    return BelowBest(value, value - width, value + width, p, (quantile + ndtri(power)) * error)


def largest_difference(deviations: np.ndarray) -> np.ndarray:
    """Deviations of resamples from K estimates (K, B) -> the largest standardised difference of two rows, (B,).

    Rows that never differ are no pair.
    """
    largest = np.zeros(deviations.shape[1])
    for row in range(1, len(deviations)):
        apart = np.abs(deviations[:row] - deviations[row])
        error = np.std(deviations[:row] - deviations[row], axis=1, ddof=1)
        differing = error > ROUNDING
        if differing.any():
            largest = np.maximum(largest, np.max(apart[differing] / error[differing, None], axis=0))
    return largest
