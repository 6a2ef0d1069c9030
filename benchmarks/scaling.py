"""How a cost grows with length: exponents by least squares in logarithms, their bootstrap, where two costs cross."""

import numpy as np

RESAMPLES = 2000
COVERAGE = (2.5, 97.5)
"""percentiles"""


def exponent(lengths, costs):
    """Lengths (n,), costs (..., n) -> the slope of log cost in log length (...): 1 is linear, 2 quadratic."""
    x = np.log(np.asarray(lengths, dtype=float))
    x = x - x.mean()
    return np.log(np.asarray(costs, dtype=float)) @ x / (x @ x)


def crossing(lengths, first, second):
    """The shortest length from which `first` (n,) costs no more than `second` (n,) at every longer one too, between
    the measured lengths by straight lines in logarithms; NaN where it costs more at the longest, 0 where it never does.
    """
    x, gap = np.log(np.asarray(lengths, dtype=float)), np.log(np.asarray(first) / np.asarray(second))
    if gap[-1] > 0:
        return np.nan
    above = np.flatnonzero(gap > 0)
    if not len(above):
        return 0.0
    i = above[-1]
    return float(np.exp(x[i] + (x[i + 1] - x[i]) * gap[i] / (gap[i] - gap[i + 1])))


def resampled_medians(values, rng, resamples=RESAMPLES):
    """Values of the rounds (rounds, ...) -> medians of rounds that were drawn anew (resamples, ...).

    Models that share a draw keep what disturbed them in the same round.
    """
    drawn = rng.integers(0, len(values), (resamples, len(values)))
    return np.stack([np.median(values[rows], axis=0) for rows in drawn])


def interval(values):
    """Bounds of resampled values; those that are undefined are left out -> (low, high)."""
    known = np.asarray(values)[np.isfinite(values)]
    return tuple(np.percentile(known, COVERAGE).tolist()) if len(known) else (np.nan, np.nan)


def exponent_over_lengths(lengths, costs, rng, resamples=RESAMPLES):
    """Of costs without noise (n,): the exponents of lengths that were drawn anew, at least three different ones."""
    lengths, costs, found = np.asarray(lengths), np.asarray(costs), []
    while len(found) < resamples:
        drawn = rng.integers(0, len(lengths), len(lengths))
        if len(set(drawn.tolist())) >= min(3, len(lengths)):
            found.append(float(exponent(lengths[drawn], costs[drawn])))
    return np.array(found)
