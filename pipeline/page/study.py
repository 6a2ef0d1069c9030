"""What report.html is made from."""

from dataclasses import dataclass, field
from typing import Any

import polars as pl

from pipeline.claims.evidence import Relations
from pipeline.page.combinations import Scored
from pipeline.report.material import Material, Method


@dataclass(frozen=True)
class Weights:
    """Learned attention of one model at the layer that was chosen on train, first run."""

    layer: int
    of_words: list[list[float] | None]
    """for each sentence the weight of each word, in multiples of what the mean gives it; None where it is not known"""


@dataclass(frozen=True)
class Study:
    """Everything that the page shows. What nobody has made is an empty table."""

    material: Material
    """what report.md is made from"""
    method: Method
    related: Relations
    claims: pl.DataFrame
    """formats.claims.CLAIMS"""
    poolings: pl.DataFrame
    """formats.tables.POOLINGS"""
    curves: pl.DataFrame
    """formats.tables.CURVES"""
    probes: pl.DataFrame
    """formats.tables.PROBES"""
    costs: pl.DataFrame
    """formats.efficiency.EFFICIENCY, of the encoders that have not changed since"""
    shapes: pl.DataFrame
    """formats.geometry.JOINED, of the models that have not changed since"""
    facts: dict[str, Any]
    """formats.geometry.FACTS"""
    stale: dict[str, dict[str, str]] = field(default_factory=dict)
    """cost and geometry -> {encoder: why nothing is shown of it}"""
    scored: list[Scored] = field(default_factory=list)
    """what the browser of pairs compares"""
    weights: dict[str, Weights] = field(default_factory=dict)
    """model -> where its learned attention looks"""
    settings: dict[str, Any] = field(default_factory=dict)
    """what params.yaml says"""
    digest: str = ""
    """sha256 of the pairs and of their sentences"""
    code: str = ""
    """the commit that is checked out, if any"""
