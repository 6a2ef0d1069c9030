"""Intervals by a bootstrap over components.

Pairs that share sentences are not independent, so whole components are drawn. Each split has its own stream of
resamples, the same for every encoder, so that differences between encoders are paired.
"""

import zlib
from collections.abc import Sequence
from functools import partial

import numpy as np

from pipeline.stats.components import FEWEST, effective_components
from pipeline.stats.ranks import STATISTICS
from pipeline.stats.weighted import Each, weighted_statistics

NUMBERS_AT_ONCE = 1 << 23
"""scores that are resampled at once; resamples are drawn again for each part of them"""
DRAWN_AT_ONCE = 1 << 16
"""components that are drawn at once: they stay in the cache"""
ROUNDING = 1e-12
"""statistics of order 1 that are closer than this are equal: the same ranks, summed in another order"""


def stream_seed(seed: int, split: str) -> list[int]:
    """The seed of a split's resamples."""
    return [seed, zlib.crc32(split.encode())]


def resample_weights(component: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """How often each pair occurs in each resample: component of each pair (n,) -> (n, resamples), unsigned.

    The numbers have as few bytes as hold them, nearly always one. The draws of two calls in a row are those of one call
    for as many resamples.
    """
    names, where = np.unique(component, return_inverse=True)
    return _weights(where, len(names), resamples, rng)


def _weights(where: np.ndarray, components: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """The same of the number of each pair's component, (n,)."""
    parts, step = [np.empty((0, components), np.uint8)], max(1, DRAWN_AT_ONCE // components)
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        drawn = rng.integers(0, components, size=(count, components))
        drawn += np.arange(count)[:, None] * components
        times = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(count, -1)
        parts.append(times.astype(np.min_scalar_type(times.max())))
    of_components = np.concatenate(parts).T.copy()  # a row for each: what is read together lies together
    return np.take(of_components, where, axis=0, mode="clip")  # "raise" is slower


def rows_at_once(pairs: int) -> int:
    """How many rows of scores of so many pairs are resampled at once. Of each, several times its size is held."""
    return max(1, NUMBERS_AT_ONCE // pairs)


def bootstrap(  # noqa: PLR0913 - the last is for show
    scores: np.ndarray,
    labels: np.ndarray,
    component: np.ndarray,
    resamples: int,
    seed: int | Sequence[int],
    wanted: Sequence[str] = tuple(STATISTICS),
    each: Each = iter,
) -> dict[str, np.ndarray]:
    """Resampled statistics: scores (K, n), labels (n,), component (n,) -> {statistic: (K, resamples)} for those wanted.

    NaN where one is undefined in a resample (`weighted_statistics`), and all of them where there are fewer than FEWEST
    effective components: a handful of them, drawn again and again, says nothing of others. `each` may show progress.
    """
    if effective_components(component) < FEWEST:
        return {name: np.full((len(scores), resamples), np.nan) for name in wanted}
    names, where = np.unique(component, return_inverse=True)
    step, parts = rows_at_once(len(labels)), []
    for start in range(0, max(1, len(scores)), step):
        rng = np.random.default_rng(seed)  # all rows have the same resamples
        draw = partial(_drawn, where, len(names), rng)
        parts.append(weighted_statistics(scores[start : start + step], labels, draw, resamples, wanted, each))
    return {name: np.concatenate([part[name] for part in parts]) for name in wanted}


def _drawn(where: np.ndarray, components: int, rng: np.random.Generator, start: int, stop: int) -> np.ndarray:
    return _weights(where, components, stop - start, rng)


def interval(resampled: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval of each row, over the resamples in which it is defined: (K, B) -> lows (K,) and highs (K,).

    NaN where no resample is defined, or where they have no spread and so say nothing of it (but for differences of what
    is the same, which are 0 in all).
    """
    tail = (1 - confidence) / 2
    bounds = np.full((len(resampled), 2), np.nan)
    for row, values in enumerate(resampled):
        defined = values[np.isfinite(values)]
        if len(defined) and (np.ptp(defined) > ROUNDING or not np.any(defined)):
            bounds[row] = np.quantile(defined, [tail, 1 - tail])
    return bounds[:, 0], bounds[:, 1]


def standard_error(resampled: np.ndarray) -> np.ndarray:
    """The bootstrap's standard error: resampled (..., B) -> (...), NaN where fewer than two resamples are defined."""

    def of_row(values: np.ndarray) -> float:
        defined = values[np.isfinite(values)]
        return float(np.std(defined, ddof=1)) if len(defined) > 1 else np.nan

    return np.apply_along_axis(of_row, -1, resampled)
