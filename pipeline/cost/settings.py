"""Section `efficiency` of params.yaml."""

from dataclasses import dataclass

from pipeline.base.errors import InputError
from pipeline.base.settings import at_least, once


@dataclass(frozen=True)
class Efficiency:
    """What is measured of the cost of encoders, and how often."""

    encoders: list[str] | None
    """models and baselines of catalog.yaml; null: all that this file names"""
    pairs: int
    """how many pairs are compared, evenly spaced over the dataset's by length"""
    repeats: int
    """how often; the page shows medians and quartiles of them"""
    batch_sizes: list[int]
    """pairs at once, tried for the throughput; single pairs are always measured"""
    layers: str | int | list[int]
    """where a model is left early: all, a list of layers (negative ones count from the last), or n for every n-th"""
    interleaved: bool
    """whether all encoders are loaded at once and take turns; false: one after the other, for models that do not fit
    into memory together
    """

    def __post_init__(self) -> None:
        at_least("efficiency", self, pairs=1, repeats=3)
        once(self.encoders or [], "efficiency.encoders")
        once(self.batch_sizes, "efficiency.batch_sizes")
        if self.encoders == []:
            raise InputError("efficiency.encoders is empty: name at least one, or leave null for all of the study")
        if small := [size for size in self.batch_sizes if not 1 <= size <= self.pairs]:
            raise InputError(
                f"efficiency.batch_sizes has {small[0]}, expected 1 to {self.pairs}, as many as efficiency.pairs"
            )
        is_step = isinstance(self.layers, int) and self.layers >= 1
        is_list = isinstance(self.layers, list) and len(self.layers) > 0
        if not (self.layers == "all" or is_step or is_list):
            raise InputError(
                f"efficiency.layers is {self.layers!r}: give all, a list of layers, or n for every n-th layer"
            )
