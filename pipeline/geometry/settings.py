"""Section `geometry` of params.yaml."""

from dataclasses import dataclass

from pipeline.base.errors import InputError
from pipeline.base.settings import at_least


@dataclass(frozen=True)
class Geometry:
    """On how much of the data the layers' geometry is measured, and how its uncertainty is."""

    sentences: int
    """distinct sentences that are drawn, all where there are fewer; 8 N (N + 2 D) bytes is most of the memory"""
    traced: int
    """of them, those for curvature, matrix entropy and softmax entropy of tokens, which take several times as long as
    reading the states
    """
    resamples: int
    """halves of the sentences from which standard errors are computed"""
    confidence: float
    """coverage of the intervals"""
    seed: int
    """seed of the draws"""

    def __post_init__(self) -> None:
        at_least("geometry", self, sentences=20, traced=20, resamples=20, seed=0)
        if not 0.5 <= self.confidence < 1:
            raise InputError(f"geometry.confidence is {self.confidence}, expected 0.5 to 1 (0.95 for 95 %)")
