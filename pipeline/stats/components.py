"""How much the components of a set of pairs can say."""

import numpy as np

FEWEST = 5
"""effective components below which nothing is resampled: tests at .05 reject a true null in more than .15 of cases"""
FEW = 30
"""effective components below which tests at .05 reject a true null in about .1 of cases"""


def effective_components(component: np.ndarray) -> float:
    """(sum of sizes)^2 / sum of squared sizes (Kish's effective number): the component of each pair (n,) -> how many of
    equal size would say as much.
    """
    sizes = np.unique(component, return_counts=True)[1].astype(np.float64)
    return float(sizes.sum() ** 2 / (sizes**2).sum())
