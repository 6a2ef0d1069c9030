"""Bands around a whole curve."""

import numpy as np

from pipeline.stats.bootstrap import standard_error
from pipeline.stats.significance import ROUNDING


def simultaneous(estimates: np.ndarray, resampled: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Bands that hold for all K rows at once: estimates (K,), resampled (K, B) -> low and high, (K,) each.

    estimate +- c error, with the bootstrap's standard errors and c the quantile over resamples of max_k |t*_k - t_k|
    / error_k (sup-t: Montiel Olea and Plagborg-Moller 2019, J. Appl. Econometrics 34). Rows without an estimate or
    without spread have no band, and a resample counts if the others are all defined in it.
    """
    error = standard_error(resampled)
    rows = np.isfinite(estimates) & (error > ROUNDING)
    error[~rows] = np.nan
    if not rows.any():
        return error, error
    beyond = np.abs(resampled[rows] - estimates[rows, None]) / error[rows, None]
    largest = np.max(beyond, axis=0)  # (B,), NaN if any row is
    width = np.quantile(largest[np.isfinite(largest)], confidence) * error
    return estimates - width, estimates + width
