"""Drawn scores, labels and components, which the tests of this room compute statistics of."""

import numpy as np


def scores_and_labels(rng, n=90, encoders=3, graded=False, ties=True):
    """Scores (encoders, n), those of the first encoder tied, labels (n,) of either kind, and components (n,).

    Some components hold pairs of either label, some of one label, and some are one pair.
    """
    labels = rng.integers(0, 11, n) / 2 if graded else rng.permutation(np.arange(n) % 5 < 3).astype(float)
    scores = rng.standard_normal((encoders, n)) + labels
    if ties:
        scores[0] = np.round(2 * scores[0])
    return scores, labels, rng.integers(0, n // 2, n)


def holes(rng, shape, share=0.1):
    """Normal resamples, some undefined."""
    return np.where(rng.random(shape) < share, np.nan, rng.standard_normal(shape))


R = 0.4
"""correlation of the scores with the grade behind the labels, in the population of `clustered`"""


def clustered(rng, clusters=150, largest=0, encoders=2):
    """Exchangeable score vectors (encoders, n), labels (n,), component (n,): 1 to 4 pairs a component.

    Grade and scores of a component share a part (intraclass correlation .8); label = grade > 0, so that
    AUC = 1 / 2 + 2 / pi asin(R / sqrt 2) and rho = sqrt(3) (AUC - 1 / 2).
    """
    sizes = rng.integers(1, 5, clusters)
    sizes[0] = max(sizes[0], largest)
    component = np.repeat(np.arange(clusters), sizes)
    shared = (rng.standard_normal(clusters)[component] for _ in range(2 + encoders))
    grade, noise, *own = (np.sqrt(0.8) * part + np.sqrt(0.2) * rng.standard_normal(len(component)) for part in shared)
    scores = np.stack([R * grade + np.sqrt((1 - R**2) / 2) * (noise + part) for part in own])
    return scores, (grade > 0).astype(float), component
