"""Mixes of layers: MIXES, name -> function of the mean-pooled vectors {layer: (S, D)} -> (S, D)."""

from collections.abc import Callable

import numpy as np

Means = dict[int, np.ndarray]
"""layer number -> the mean-pooled vectors (S, D)"""


def first_last(means: Means) -> np.ndarray:
    """(v_1 + v_L) / 2, the outputs of the first and of the last block (arXiv 2103.15316)."""
    return layers_i_j(means, 1, max(means))


def layers_i_j(means: Means, i: int, j: int) -> np.ndarray:
    """(v_i + v_j) / 2"""
    return (means[i] + means[j]) / 2


def mean_layers(means: Means) -> np.ndarray:
    """sum_l v_l / L, the mean over all layers of a dump: of the readout `values` it is value aggregation
    (arXiv 2602.01572, of which only the abstract could be read).
    """
    return np.mean(list(means.values()), axis=0)


def scalar_mix(means: Means, weights: dict[int, float]) -> np.ndarray:
    """sum_l w_l v_l, w_l = softmax(s)_l / r_l with learned s (arXiv 1802.05365, equation 1).

    r_l is the root mean square of the train vectors of a layer, since deep layers are far longer. weights: {l: w_l}.
    """
    mixed = np.zeros_like(next(iter(means.values())))
    for layer, vectors in means.items():
        mixed += np.float32(weights[layer]) * vectors
    return mixed


MIXES: dict[str, Callable[..., np.ndarray]] = {
    "first_last": first_last,
    "layers_I_J": layers_i_j,
    "mean_layers": mean_layers,
    "scalar_mix": scalar_mix,
}
