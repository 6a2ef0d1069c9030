"""Section `report` of params.yaml."""

from dataclasses import dataclass

from pipeline.base.settings import at_least


@dataclass(frozen=True)
class Report:
    """What the page of the stage report shows."""

    false_positives: int
    """how many of the worst false positives to show for each model"""

    def __post_init__(self) -> None:
        at_least("report", self, false_positives=0)
