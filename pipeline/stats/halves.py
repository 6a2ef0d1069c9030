"""Standard errors from halves of the data, drawn without replacement (a jackknife that deletes half).

For statistics that a bootstrap would break, since it draws some units twice: a distance to the nearest neighbour is
then 0, and an estimate that leaves out the diagonal of a Gram matrix meets the diagonal beside it.
"""

from statistics import NormalDist

import numpy as np

from pipeline.stats.components import FEWEST, effective_components
from pipeline.stats.significance import Estimate


def halves(component: np.ndarray, resamples: int, seed: int) -> list[np.ndarray]:
    """The component of each unit (n,) -> the units in a random half of the components, for each resample.

    Nothing where there are fewer than FEWEST effective components: a handful of them says nothing of others.
    """
    if effective_components(component) < FEWEST:
        return []
    names, where = np.unique(component, return_inverse=True)
    rng = np.random.default_rng(seed)
    drawn = [rng.permutation(len(names)) < len(names) // 2 for _ in range(resamples)]
    return [np.flatnonzero(half[where]) for half in drawn]


def standard_error(of_halves: np.ndarray) -> np.ndarray:
    """A statistic of each half (B, ...) -> the standard error of that of the whole (...), NaN without halves.

    Where a statistic is a mean of n terms up to what vanishes, that of a half varies around that of the whole as much
    as that of the whole around the truth. Its own mean is taken, since many statistics depend on n. NaN too where some
    half has none.
    """
    if len(of_halves) < 2:
        return np.full(of_halves.shape[1:], np.nan)
    return of_halves.std(axis=0, ddof=1)


def interval(
    value: np.ndarray, of_halves: np.ndarray, confidence: float, span: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """A statistic (...) and those of halves (B, ...) -> low and high (...): normal, and cut to what is possible."""
    reach = NormalDist().inv_cdf(0.5 + confidence / 2) * standard_error(of_halves)
    return np.maximum(value - reach, span[0]), np.minimum(value + reach, span[1])


def apart(first: np.ndarray, second: np.ndarray, confidence: float) -> Estimate:
    """The difference of two statistics with their intervals by `interval`: value, low and high, (3,) each -> K = 1.

    Their errors are taken to be independent, and normal. Where both are of the same units they mostly go together, and
    the test is then cautious. An interval that was cut gives its longer side.
    """
    quantile = NormalDist().inv_cdf(0.5 + confidence / 2)
    errors = [max(high - value, value - low) / quantile for value, low, high in (first, second)]
    value, error = float(first[0] - second[0]), float(np.hypot(errors[0], errors[1]))
    figures = [value, np.nan, np.nan, np.nan]
    if error > 0:
        figures[1:] = value - quantile * error, value + quantile * error, 2 * NormalDist().cdf(-abs(value) / error)
    return Estimate(*np.array(figures)[:, None])
