"""The Pareto front: what nothing else beats in cost and value at once."""

import numpy as np


def pareto(cost: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Cost (n,), lower is better, and value (n,), higher is better -> whether nothing is as good in both and better
    in one (n,) bool. Equal ones are both on the front.
    """
    no_worse = (cost[:, None] <= cost) & (value[:, None] >= value)  # row against column, (n, n)
    better = (cost[:, None] < cost) | (value[:, None] > value)
    return np.logical_not(np.any(no_worse & better, axis=0))
