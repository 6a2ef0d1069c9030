"""Section `correlate` of params.yaml, which the stage compare uses too."""

from dataclasses import dataclass

from pipeline.base.errors import InputError
from pipeline.base.settings import at_least

MOST_RESAMPLES = 1_000_000
"""8 MB of them for each combination of encoder, layer and similarity"""


@dataclass(frozen=True)
class Correlate:
    """How uncertainty is measured."""

    resamples: int
    """bootstrap resamples"""
    confidence: float
    """coverage of the intervals"""
    seed: int
    """seed of the resamples"""
    reference: str | None = None
    """the encoder that all others are compared with, by its name in the report, such as `overlap dice`; null: none"""

    def __post_init__(self) -> None:
        if self.resamples < 100:
            raise InputError(
                f"correlate.resamples is {self.resamples}, expected at least 100: a percentile of fewer means nothing"
            )
        if self.resamples > MOST_RESAMPLES:
            raise InputError(
                f"correlate.resamples is {self.resamples}, expected at most {MOST_RESAMPLES}: they are kept"
            )
        at_least("correlate", self, seed=0)
        if not 0.5 <= self.confidence < 1:
            raise InputError(f"correlate.confidence is {self.confidence}, expected 0.5 to 1 (0.95 for 95 %)")
