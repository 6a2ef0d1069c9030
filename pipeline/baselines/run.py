"""A baseline of the catalogue -> its sentence vectors, or its scores of the pairs.

Vectors (contract C4) are scored like a model's; scores are taken as they are.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from pipeline.baselines.encoders import sentence_encoder
from pipeline.baselines.overlap import overlap
from pipeline.baselines.vectors import random_vectors, word_vectors
from pipeline.catalog.entries import Baseline
from pipeline.engine.local import LOCAL
from pipeline.formats.baselines import Result

if TYPE_CHECKING:
    from pipeline.engine.engines import Engine

BASELINES: dict[str, Callable[[Baseline, pl.DataFrame, pl.DataFrame, str], Result]] = {
    "overlap": overlap,
    "random": random_vectors,
    "vectors": word_vectors,
    "encoder": sentence_encoder,
}
"""the kinds of catalog.entries.BASELINE_KINDS -> function of (entry, pairs, sentences, what it is called in errors)"""


def run(entry: Baseline, name: str, pairs: pl.DataFrame, sentences: pl.DataFrame, engine: "Engine" = LOCAL) -> Result:
    """What a baseline, by its entry and name, makes of the pairs and sentences of C2."""
    kinds = BASELINES | {"encoder": partial(sentence_encoder, engine=engine)}  # the others take seconds
    return kinds[entry.kind](entry, pairs, sentences, f"baseline {name}")
