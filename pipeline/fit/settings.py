"""Section `fit` of params.yaml."""

import math
from dataclasses import dataclass

from pipeline.base.errors import InputError, one_of
from pipeline.base.settings import at_least, once
from pipeline.formats.fits import ARRAYS


@dataclass(frozen=True)
class Fit:
    """Section `fit`: what is learned from the train pairs, and how."""

    poolings: list[str]
    """attention, diagonal, scalar_mix; empty: nothing is learned"""
    runs: int
    """runs with noise of their own; each holds another of as many folds of the train components out"""
    epochs: int
    """passes over the train pairs, at most"""
    patience: int
    """stop when no pooling has improved at any layer for so many epochs"""
    batch_pairs: int
    """pairs of a step"""
    learning_rate: float
    """of Adam; parameters are in units of the standard deviation of each dimension"""
    scale: float
    """of the cosines in the loss (CoSENT's lambda)"""
    seed: int
    """seed of folds, noise and order"""
    shuffle_labels: bool
    """a control: permute the train labels, after which nothing can be learned"""
    controls: bool
    """whether to learn for models with random weights, which nobody trained, too"""

    def __post_init__(self) -> None:
        for pooling in self.poolings:
            one_of(pooling, ARRAYS, "fit.poolings")
        once(self.poolings, "fit.poolings")
        at_least("fit", self, runs=2, epochs=1, patience=1, batch_pairs=2, seed=0)
        if self.seed >= 1 << 63:
            raise InputError(f"fit.seed is {self.seed}, expected less than 2^63")
        for name in ("learning_rate", "scale"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"fit.{name} is {getattr(self, name)}, expected a finite number above 0")
