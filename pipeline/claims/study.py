"""All verdicts of a study: what the stage claims writes, and the part of it that report.md opens with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.analyse.groups import groups_of
from pipeline.analyse.settings import Correlate
from pipeline.claims import from_beside, from_scores, from_tables
from pipeline.claims.conditions import conditions
from pipeline.claims.curves import Curves, curves
from pipeline.claims.evidence import Evidence, Relations
from pipeline.claims.judge import judge
from pipeline.formats import beside, efficiency, geometry
from pipeline.formats import splits as splits_of
from pipeline.formats.scores import Scores
from pipeline.formats.tables import schema_of


@dataclass(frozen=True)
class Scored:
    """What is known of a study once it has scores and correlations."""

    scores: Scores
    """contract C5"""
    pairs: pl.DataFrame
    """contract C2"""
    info: Mapping[str, Any]
    """of the pairs (formats.pairs.INFO)"""
    correlations: pl.DataFrame
    """results/correlations.csv (formats.tables.CORRELATIONS)"""
    related: Relations


@dataclass(frozen=True)
class Beside:
    """What the DVC projects beside this one left, and of which encoders it says nothing of use, with the reasons."""

    costs: pl.DataFrame
    """EFFICIENCY (formats.efficiency), empty where there is none"""
    without_cost: Mapping[str, str]
    """encoder -> why its cost is not that of this study"""
    shapes: pl.DataFrame
    """MEASURED (formats.geometry), empty where there is none"""
    facts: Mapping[str, Any]
    """FACTS (formats.geometry)"""
    without_shape: Mapping[str, str]
    """model -> why its geometry is not that of this study"""


def measured(folder: Path, now: dict[str, Any]) -> Beside:
    """What is in the folder `data/beside`, as far as it is of the study `now` (formats.beside)."""
    costs, shapes = folder / "efficiency.csv", folder / "geometry.parquet"
    without_cost, without_shape = beside.unlike(costs, now), beside.unlike(shapes, now)
    table = pl.DataFrame(schema=geometry.polars_schema(geometry.MEASURED))
    facts: dict[str, Any] = {}
    if shapes.exists():
        table, facts = geometry.read(shapes)
    empty = pl.DataFrame(schema=schema_of(efficiency.EFFICIENCY))
    return Beside(efficiency.read(costs) if costs.exists() else empty, without_cost, table, facts, without_shape)


def reported(scored: Scored) -> list[str]:
    """The splits and subsets that report.md shows: without the one that layers were chosen on, if there are others."""
    names, subsets = scored.correlations["split"].unique(maintain_order=True).to_list(), scored.info["subsets"]
    others = [name for name in names if name != splits_of.chosen_on(scored.correlations["split"])]
    return others if set(others) - set(subsets) else names


def held_out(names: Sequence[str], scored: Scored) -> list[str]:
    """Those of some splits and subsets that are no part of the one that layers were chosen on, if there are any."""
    train, subsets = splits_of.chosen_on(scored.correlations["split"]), scored.info["subsets"]
    others = [name for name in names if train not in (name, subsets.get(name, [None])[0])]
    return others or list(names)


def main_split(names: Sequence[str], scored: Scored) -> str:
    """The split of the headline: the last that is no subset, or the last."""
    return splits_of.main_split(names, scored.info["subsets"]) or names[-1]


def poolings(scored: Scored) -> dict[str, str]:
    """{model: the pooling of its vectors}."""
    rows = scored.correlations.filter(pl.col("pooling").is_not_null())
    return dict(rows.select("encoder", "pooling").unique(maintain_order=True).iter_rows())


def draw(scored: Scored, names: Sequence[str], section: Correlate) -> list[Curves]:
    """rho of every layer on some splits, with its resamples."""
    groups = groups_of(scored.pairs, scored.info["subsets"])
    return [curves(scored.scores, groups[name], section) for name in names]


def of_scores(scored: Scored, drawn: Sequence[Curves]) -> list[Evidence]:
    """The evidence that needs scores and correlations only."""
    of_choice = held_out([found.split for found in drawn], scored)
    evidence: list[Evidence] = []
    for found in drawn:
        evidence += from_scores.of_depth(found, scored.correlations, scored.related)
        if found.split in of_choice:
            evidence += from_scores.of_choice(found, scored.correlations, scored.related)
    return evidence


def opening(scored: Scored, section: Correlate) -> pl.DataFrame:
    """CLAIMS (formats.claims) of the main split, as far as scores and correlations go: for report.md."""
    drawn = draw(scored, [main_split(reported(scored), scored)], section)
    return judge(of_scores(scored, drawn), scored.related, scored.info["dataset"], poolings(scored))


def verdicts(
    scored: Scored, of_poolings: pl.DataFrame, probes: pl.DataFrame, found_beside: Beside, section: Correlate
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """CLAIMS and CONDITIONS (formats.claims) of every reported split."""
    names, related = reported(scored), scored.related
    of_choice = held_out(names, scored)
    drawn = draw(scored, names, section)
    found = of_scores(scored, drawn)
    found += from_tables.attention(of_poolings, related, of_choice)
    found += from_tables.probes(probes, related, of_choice)
    found += from_beside.costs(found_beside.costs, related, found_beside.without_cost)
    of_shape = found_beside.shapes, found_beside.facts
    found += from_beside.shapes(*of_shape, related, found_beside.without_shape, poolings(scored))
    table = judge(found, related, scored.info["dataset"], poolings(scored))
    return table, conditions([one for one in drawn if one.split in of_choice], related.conditions)
