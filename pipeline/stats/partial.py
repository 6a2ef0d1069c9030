"""Rank correlation given a covariate, such as word overlap."""

import numpy as np

from pipeline.stats.ranks import spearman_rows
from pipeline.stats.significance import ROUNDING


def partial_from(rho_sl: np.ndarray, rho_sg: np.ndarray, rho_lg: np.ndarray) -> np.ndarray:
    """Correlation of scores s and labels l given g, from those of each two, elementwise, also of resamples.

    (sl - sg lg) / sqrt((1 - sg^2) (1 - lg^2)); NaN where g determines s or l (Yule 1907, Proc. R. Soc. A 79).
    """
    left_sg, left_lg = 1 - np.square(rho_sg), 1 - np.square(rho_lg)
    left_sg = np.where(left_sg > ROUNDING, left_sg, np.nan)
    left_lg = np.where(left_lg > ROUNDING, left_lg, np.nan)
    return (rho_sl - rho_sg * rho_lg) / np.sqrt(left_sg * left_lg)


def partial_spearman(scores: np.ndarray, labels: np.ndarray, covariate: np.ndarray) -> np.ndarray:
    """Spearman's rho of scores (K, n) and labels (n,) given a covariate (n,) -> (K,).

    What is left of the ranks of both after their linear regressions on the covariate's ranks. Its resamples:
    `partial_from` of three bootstraps with one seed.
    """
    rho_sl, rho_sg = spearman_rows(scores, labels), spearman_rows(scores, covariate)
    return partial_from(rho_sl, rho_sg, spearman_rows(covariate[None], labels)[0])
