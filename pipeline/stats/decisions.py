"""Accuracy and F1 of 0/1 decisions, and of the same decisions in resamples of components."""

from collections.abc import Sequence

import numpy as np

from pipeline.stats.bootstrap import resample_weights
from pipeline.stats.components import FEWEST, effective_components
from pipeline.stats.weighted import CELLS


def decisions(positive: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Accuracy and F1 of the positives where each pair counts w times.

    positive (K, n) bool: what K classifiers say of n pairs; labels (n,) of 0 and 1; weights (n, B) -> (K, B) each. F1
    is NaN for 0 / 0.
    """
    w, true = weights.astype(np.float64), labels == 1
    right = (positive == true).astype(np.float64) @ w  # (K, B)
    true_positives = (positive & true).astype(np.float64) @ w
    called, actual = positive.astype(np.float64) @ w, true.astype(np.float64) @ w
    with np.errstate(invalid="ignore"):
        return {"accuracy": right / w.sum(axis=0), "f1": 2 * true_positives / (called + actual)}


def bootstrap_decisions(
    positive: np.ndarray, labels: np.ndarray, component: np.ndarray, resamples: int, seed: int | Sequence[int]
) -> dict[str, np.ndarray]:
    """Accuracy and F1 in resamples of components, component (n,) -> (K, resamples) each.

    The resamples are those of `bootstrap.bootstrap` for the same components and seed. All NaN where there are fewer
    than FEWEST effective components.
    """
    found = {name: np.full((len(positive), resamples), np.nan) for name in ("accuracy", "f1")}
    if effective_components(component) < FEWEST:
        return found
    rng, step = np.random.default_rng(seed), max(1, CELLS // len(labels))
    for start in range(0, resamples, step):
        stop = min(start + step, resamples)
        block = decisions(positive, labels, resample_weights(component, stop - start, rng))
        for name, values in block.items():
            found[name][:, start:stop] = values
    return found
