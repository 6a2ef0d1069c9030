"""Intervals by a bootstrap over components.

Pairs that share sentences are not independent, so whole components are drawn. Each split has its own stream of
resamples, the same for every encoder, so that differences between encoders are paired.
"""

import zlib
from collections.abc import Sequence

import numpy as np

from pipeline.stats.components import FEWEST, effective_components
from pipeline.stats.ranks import STATISTICS
from pipeline.stats.weighted import Each, weighted_statistics

ROUNDING = 1e-12
"""statistics of order 1 that are closer than this are equal: the same ranks, summed in another order"""


def stream_seed(seed: int, split: str) -> list[int]:
    """The seed of a split's resamples."""
    return [seed, zlib.crc32(split.encode())]


def resample_weights(component: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """How often each pair occurs in each resample: component of each pair (n,) -> (n, resamples), unsigned.

    The draws of two calls in a row are those of one call for as many resamples.
    """
    names, where = np.unique(component, return_inverse=True)
    drawn = rng.integers(0, len(names), size=(resamples, len(names)))
    drawn += np.arange(resamples)[:, None] * len(names)
    counts = np.bincount(drawn.ravel(), minlength=resamples * len(names)).reshape(resamples, -1)
    kind = (
        np.uint16 if len(names) < 1 << 16 else np.uint32
    )  # a component cannot be drawn more often than there are draws
    return np.ascontiguousarray(counts.astype(kind).T)[where]


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
    rng = np.random.default_rng(seed)

    def draw(start: int, stop: int) -> np.ndarray:
        return resample_weights(component, stop - start, rng)

    return weighted_statistics(scores, labels, draw, resamples, wanted, each)


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
