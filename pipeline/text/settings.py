"""Sections `prepare` and `tokenize` of params.yaml."""

from dataclasses import dataclass

from pipeline.base.errors import InputError
from pipeline.base.settings import at_least


@dataclass(frozen=True)
class Prepare:
    """Section `prepare`: which pairs of the dataset are used."""

    limit: int | None
    """keep only the first so many pairs of each split; null keeps all"""

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 2:
            raise InputError(f"prepare.limit is {self.limit}: at least 2 pairs of a split are needed for a correlation")


@dataclass(frozen=True)
class Tokenize:
    """Section `tokenize`: how long a sentence may be."""

    max_tokens: int
    """longest sentence, in tokens"""
    truncate: bool
    """cut longer sentences instead of stopping; the report counts them"""

    def __post_init__(self) -> None:
        at_least("tokenize", self, max_tokens=1)
