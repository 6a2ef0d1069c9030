"""Sections `score` and `sweep` of params.yaml."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.base.errors import InputError
from pipeline.base.settings import once
from pipeline.pool.names import Correction
from pipeline.score.similarities import Similarity
from pipeline.score.swept import SweptPooling


@dataclass(frozen=True)
class Score:
    """Section `score`: how the vectors of `pooling` become scores."""

    similarities: list[Similarity]
    """keys of pipeline.score.similarities.SIMILARITIES"""
    corrections: list[Correction]
    """names of pipeline.pool.corrections; fitted on the train sentences of each encoder's vectors at each layer,
    but for embed_filter_K, which takes the model's unembedding"""

    def __post_init__(self) -> None:
        check_list("score.similarities", self.similarities, "cosine")
        check_list("score.corrections", self.corrections, "none")


@dataclass(frozen=True)
class Sweep:
    """Section `sweep`: every combination of the three lists, at every layer."""

    poolings: list[SweptPooling]
    """names as in `pooling`; those that are learned stand for all their runs, pairs_of_layers for every two layers"""
    corrections: list[Correction]
    """as in score.corrections; pairs_of_layers, of which there are many, have the first alone"""
    similarities: list[Similarity]
    """as in score.similarities"""
    controls: bool
    """whether models with random weights, which nobody trained, are swept too"""

    def __post_init__(self) -> None:
        check_list("sweep.poolings", self.poolings, "mean")
        check_list("sweep.corrections", self.corrections, "none")
        check_list("sweep.similarities", self.similarities, "cosine")


def check_list(where: str, names: Sequence[object], example: str) -> None:
    """Raise InputError for a list that is empty, or has a name twice."""
    if not names:
        raise InputError(f"{where} is empty: expected at least one, such as {example}")
    once(names, where)
