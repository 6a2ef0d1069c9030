"""Evidence -> the table of verdicts, and one verdict for each claim and model."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl

from pipeline.claims.decide import UNTESTED, Effects, decide
from pipeline.claims.evidence import HALVES, QUARTILES, SINGLE, Evidence, Relations
from pipeline.claims.paper import CLAIMS
from pipeline.claims.remedies import COST, GEOMETRY, REMEDIES, REPRO
from pipeline.claims.rules import RULES
from pipeline.formats import claims
from pipeline.formats.tables import schema_of

MADE_BY = {QUARTILES: COST, SINGLE: COST, HALVES: GEOMETRY}
"""test of evidence -> the command that measured it, where that is not REPRO"""
MIXED = "depends on the measure"
"""the verdict of a claim whose measures have different ones"""


def judge(found: Iterable[Evidence], related: Relations, dataset: str, poolings: Mapping[str, str]) -> pl.DataFrame:
    """A row of CLAIMS (formats.claims) for each piece of evidence, claim by claim; `poolings`: model -> pooling."""
    rows = [verdict(one, related) | {"dataset": dataset, "pooling": poolings.get(one.model)} for one in found]
    table = pl.DataFrame(rows, schema=schema_of(claims.CLAIMS)).with_columns(pl.selectors.float().fill_nan(None))
    order = {name: number for number, name in enumerate(RULES)}
    by = pl.col("claim").replace_strict({name: number for number, name in enumerate(CLAIMS)}, return_dtype=pl.Int64)
    models = pl.col("model").replace_strict(
        {name: number for number, name in enumerate(related.models)}, return_dtype=pl.Int64
    )
    measures = pl.col("measure").replace_strict(order, return_dtype=pl.Int64)
    return table.sort(by, models, measures, maintain_order=True)


def verdict(one: Evidence, related: Relations) -> dict[str, Any]:
    """A row of CLAIMS, without data set and pooling."""
    rule = RULES[one.measure]
    row: dict[str, Any] = {
        **{"claim": rule.claim, "measure": one.measure, "main": rule.main, "model": one.model, "variant": one.variant},
        **{"against": one.against, "split": one.split, "paper": rule.paper or None, "unit": rule.unit or None},
        **{"n": one.n, "test": one.test, "spread": one.spread},
    }
    defined = None if one.effects is None else np.flatnonzero(np.isfinite(one.effects.value))
    if one.effects is None or defined is None or not len(defined):
        why = one.why or "a figure is undefined"
        lists = {name: "".join(f"{one}," for one in getattr(related, name)) for name in ("models", "baselines")}
        command = REMEDIES.get(why, rule.command).format(model=one.model, **lists)
        return row | {"verdict": UNTESTED, "why": why, "command": command, "test": None}
    effects: Effects = one.effects.take(defined)
    decision = decide(rule, effects)
    at, place = decision.row, int(defined[decision.row])
    ours, other = (None, None) if one.figures is None else (float(side[place]) for side in one.figures)
    figures = {name: float(getattr(effects, name)[at]) for name in ("value", "low", "high")}
    counts = {"compared": len(defined), "agreeing": decision.agreeing, "opposing": decision.opposing}
    layers = dict(zip(("layer", "other_layer"), one.layers[place] if one.layers else (None, None), strict=True))
    detectable = None if one.detectable is None else float(one.detectable[place])
    found = {"ours": ours, "other": other, "p": decision.p, "verdict": decision.verdict, "detectable": detectable}
    found["command"] = MADE_BY.get(one.test or "", REPRO)
    return row | figures | counts | layers | found


def main_rows(table: pl.DataFrame, split: str | None) -> pl.DataFrame:
    """The rows of CLAIMS that decide: main measures on a split, and those that are of no split."""
    return table.filter("main", pl.col("split").is_null() | (pl.col("split") == (split or "")))


def of_models(table: pl.DataFrame, split: str | None) -> dict[str, dict[str, str]]:
    """CLAIMS -> {claim: {model: verdict}} on a split, for all claims.

    Where some main measures were tested, those that were not do not count; where verdicts differ, it is MIXED.
    """
    found: dict[str, dict[str, str]] = {claim: {} for claim in CLAIMS}
    for (claim, model), group in main_rows(table, split).group_by("claim", "model", maintain_order=True):
        known = set(group["verdict"]) - {UNTESTED} or {UNTESTED}
        found[str(claim)][str(model)] = known.pop() if len(known) == 1 else MIXED
    return found


def summary(table: pl.DataFrame, dataset: str, split: str | None) -> dict[str, Any]:
    """The dictionary of results/claims.json (formats.claims.SUMMARY)."""
    verdicts = of_models(table, split)
    named = {
        name: {"statement": claim.statement, "paper": claim.figures, "verdicts": verdicts[name]}
        for name, claim in CLAIMS.items()
    }
    return {"dataset": dataset, "split": split, "claims": named}
