"""What the pages are made from, and how the tables in it came about."""

from dataclasses import dataclass
from typing import Any

import polars as pl

from pipeline.formats.scores import Scores


@dataclass(frozen=True)
class Method:
    """How the tables were made, which the pages say: from the section `correlate` of params.yaml."""

    confidence: float
    """coverage of the intervals"""
    resamples: int
    """bootstrap resamples"""
    reference: str | None
    """name of the encoder that the others are compared with, if any"""


@dataclass(frozen=True)
class Material:
    """Everything that report.md shows."""

    table: pl.DataFrame
    """results/correlations.csv (formats.tables.CORRELATIONS)"""
    scores: Scores
    """contract C5 (formats.scores)"""
    pairs: pl.DataFrame
    """contract C2 (formats.pairs)"""
    sentences: pl.DataFrame
    """contract C2 (formats.pairs)"""
    info: dict[str, Any]
    """what there is to say of the pairs (formats.pairs.INFO)"""
    manifests: dict[str, dict[str, Any]]
    """model -> its manifest (formats.manifest)"""
    baselines: dict[str, dict[str, Any]]
    """baseline -> its info.json (formats.baselines)"""
    verdicts: pl.DataFrame | None = None
    """on the claims that need scores and correlations only (formats.claims.CLAIMS)"""
