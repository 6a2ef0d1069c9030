"""Mixes of layers: MIXES, name -> function of the mean-pooled vectors {layer: (S, D)} -> (S, D)."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from pipeline.base.errors import InputError

Means = dict[int, np.ndarray]
"""layer number -> the mean-pooled vectors (S, D)"""


def first_last(means: Means) -> np.ndarray:
    """(v_1 + v_L) / 2, the outputs of the first and of the last block (arXiv 2103.15316)."""
    return layers_i_j(means, 1, max(means))


def layers_i_j(means: Means, i: int, j: int) -> np.ndarray:
    """(v_i + v_j) / 2"""
    return (means[i] + means[j]) / 2


def mean_layers(means: Means) -> np.ndarray:
    """the mean of v_l over all layers of a dump: of the readout `values` it is value aggregation (arXiv
    2602.01572, of which only the abstract could be read).
    """
    return np.mean(list(means.values()), axis=0)


def updates(means: Means) -> np.ndarray:
    """the mean over l = 1 .. L of u_l / |u_l|, u_l = v_l - v_(l-1) what block l adds (own idea, of no paper).

    Late blocks add far longer vectors than early ones, so each counts with its direction alone; an update of zero
    counts as zero. Of a dump with some layers only, u_l is the difference between two that follow one another in it:
    what all blocks between them add.
    """
    if len(means) < 2:
        held = ", ".join(map(str, means))
        raise InputError(f"pooling updates needs two layers, but the dump holds {held}: see dump.layers in params.yaml")
    layers = sorted(means)
    total = np.zeros_like(means[layers[0]])
    for before, after in pairwise(layers):
        update = means[after] - means[before]  # (S, D)
        norms = np.linalg.norm(update, axis=1, keepdims=True)
        total += np.divide(update, norms, out=np.zeros_like(update), where=norms > 0)
    return total / (len(layers) - 1)


def updates_i_j(means: Means, i: int, j: int) -> np.ndarray:
    """the same over l = I + 1 .. J alone, I < J."""
    return updates({layer: vectors for layer, vectors in means.items() if i <= layer <= j})


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
    "updates": updates,
    "updates_I_J": updates_i_j,
    "scalar_mix": scalar_mix,
}
