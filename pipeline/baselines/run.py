"""A baseline of the catalogue -> its sentence vectors, or its scores of the pairs.

Vectors (contract C4) are scored like a model's; scores are taken as they are.
"""

from collections.abc import Callable

import polars as pl

from pipeline.baselines.encoders import sentence_encoder
from pipeline.baselines.overlap import overlap
from pipeline.baselines.vectors import random_vectors, word_vectors
from pipeline.catalog.entries import Baseline
from pipeline.formats.baselines import Result

BASELINES: dict[str, Callable[[Baseline, pl.DataFrame, pl.DataFrame, str], Result]] = {
    "overlap": overlap,
    "random": random_vectors,
    "vectors": word_vectors,
    "encoder": sentence_encoder,
}
"""the kinds of catalog.entries.BASELINE_KINDS -> function of (entry, pairs, sentences, what it is called in errors)"""


def run(entry: Baseline, name: str, pairs: pl.DataFrame, sentences: pl.DataFrame) -> Result:
    """What a baseline, by its entry and name, makes of the pairs and sentences of C2."""
    return BASELINES[entry.kind](entry, pairs, sentences, f"baseline {name}")
