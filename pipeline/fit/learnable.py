"""What can be learned: LEARNABLE, a pooling of `formats.fits.ARRAYS` -> its parameters, and the cosines that they give.

Parameters are in units in which all are of one size: a query's of the standard deviation of each dimension over tokens,
a mix's of the root mean square of a layer's vectors.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from pipeline.fit.cosines import mixed_cosines, scaled_cosines
from pipeline.fit.pair_states import PairStates


@dataclass(frozen=True)
class Learnable:
    """The parameters of a pooling: (R, L, D) for R runs and L layers, or (R, L)."""

    start: float
    """of every parameter: there, the pooling is the mean"""
    noise: float
    """standard deviation of a run's first parameters about that"""
    of_dimensions: bool
    """whether each dimension of a layer has a parameter, rather than each layer one"""
    cosines: Callable[[PairStates, torch.Tensor, np.ndarray], Iterator[torch.Tensor]]
    """states, parameters, some pairs (P,) -> (P, R) for one layer after the other, a mix's once"""
    applied: Callable[[PairStates, torch.Tensor], torch.Tensor]
    """parameters -> those that the room pool applies to states and means as they are"""

    def started(self, runs: int, layers: int, dim: int) -> torch.Tensor:
        """Parameters at the start."""
        shape = (runs, layers, dim) if self.of_dimensions else (runs, layers)
        return torch.full(shape, self.start, dtype=torch.float32)


def attention_cosines(states: PairStates, queries: torch.Tensor, pairs: np.ndarray) -> Iterator[torch.Tensor]:
    """One layer's states are held at a time."""
    for k, layer in enumerate(states.layers):
        yield states.attended(layer, queries[:, k] / states.spread[k], pairs)


def diagonal_cosines(states: PairStates, scales: torch.Tensor, pairs: np.ndarray) -> Iterator[torch.Tensor]:
    """From the means alone."""
    a, b = states.means_of_pairs(pairs)
    for k in range(len(states.layers)):
        yield scaled_cosines(a[:, k], b[:, k], scales[:, k])


def mix_cosines(states: PairStates, weights: torch.Tensor, pairs: np.ndarray) -> Iterator[torch.Tensor]:
    """Once, of all layers."""
    a, b = (means / states.size[:, None] for means in states.means_of_pairs(pairs))
    yield mixed_cosines(a, b, weights)


LEARNABLE = {
    "attention": Learnable(0.0, 0.1, True, attention_cosines, lambda states, queries: queries / states.spread),
    "diagonal": Learnable(1.0, 0.01, True, diagonal_cosines, lambda states, scales: scales),
    "scalar_mix": Learnable(
        0.0, 0.1, False, mix_cosines, lambda states, weights: torch.softmax(weights, dim=1) / states.size
    ),
}
