"""Which scores the browser of pairs compares: those of C5, and of each sweep every pooling at its chosen layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from pipeline.claims.evidence import Relations
from pipeline.formats.scores import KEYS, Scores
from pipeline.formats.sweeps import Swept
from pipeline.page.series import name_of
from pipeline.report.markdown import visible


@dataclass(frozen=True)
class Scored:
    """The scores of one combination of encoder, pooling and layer."""

    series: str
    """what it is called without its layer"""
    encoder: str
    layer: str
    """empty for what has no layers, `0+2` for a mix of two"""
    selected: bool
    """whether the layer was chosen on train"""
    swept: bool
    """whether the scores are those of a sweep"""
    values: np.ndarray
    """(P,) in the order of pair_id; larger means more alike"""


def of_scores(scores: Scores, correlations: pl.DataFrame) -> list[Scored]:
    """All combinations of C5, those of a series one behind the other by layer."""
    chosen = correlations.select(*KEYS, "name", "selected").unique(maintain_order=True)
    named = scores.keys.with_row_index("row").join(chosen, on=KEYS, how="inner", nulls_equal=True)
    place = {name: number for number, name in enumerate(correlations["encoder"].unique(maintain_order=True))}
    ordered = sorted(named.rows(named=True), key=lambda row: (place[row["encoder"]], name_of(row), row["layer"] or 0))
    return [
        Scored(
            name_of(row),
            row["encoder"],
            "" if row["layer"] is None else str(row["layer"]),
            row["selected"],
            False,
            scores.values[row["row"]],
        )
        for row in ordered
    ]


def chosen(poolings: pl.DataFrame, model: str, leave_out: str) -> pl.DataFrame:
    """The combinations of a sweep that the browser shows: each pooling but one at the layer chosen on train."""
    rows = poolings.filter(pl.col("pooling") != leave_out, family="pooling", encoder=model)
    keys = {"listed": "pooling", "correction": "correction", "similarity": "similarity", "option": "layer"}
    return rows.select(**{key: pl.col(name) for key, name in keys.items()}).unique(maintain_order=True)


def of_sweep(swept: Swept, model: str) -> list[Scored]:
    """A sweep -> its combinations; of a learned pooling the first run."""
    rows = swept.keys.with_row_index("row").sort("run", nulls_last=False, maintain_order=True)
    first = rows.unique(["listed", "correction", "similarity", "option"], keep="first", maintain_order=True)
    return [
        Scored(
            visible(f"{model}, {row['listed'].replace('_', ' ')}" + (", run 1" if row["run"] is not None else "")),
            model,
            row["option"] or "",
            True,
            True,
            swept.scores[row["row"]],
        )
        for row in first.sort("row").iter_rows(named=True)
    ]


def thinned(scored: Sequence[Scored], most: int) -> tuple[list[Scored], bool]:
    """At most so many combinations, and whether some were left out: of a series its chosen layer, its first and its
    last stay, of the others every n-th.
    """
    if len(scored) <= most:
        return list(scored), False
    last = {one.series: place for place, one in enumerate(scored)}
    first = {one.series: place for place, one in reversed(list(enumerate(scored)))}
    for step in range(2, len(scored) + 1):
        kept = [
            one
            for place, one in enumerate(scored)
            if one.selected or place == last[one.series] or not (place - first[one.series]) % step
        ]
        if len(kept) <= most or step == len(scored):
            break
    return kept[:most], True


def comparisons(scored: Sequence[Scored], related: Relations, best: str | None, reference: str | None) -> list[dict]:
    """What the browser offers to compare: {label, a, b}, where a and b are places in `scored`."""
    found: list[dict[str, Any]] = []
    plain = [(place, one) for place, one in enumerate(scored) if not one.swept]
    at: dict[str, dict[str, int]] = {}
    for place, one in plain:
        at.setdefault(one.encoder, {}).setdefault(one.layer, place)
    main = {one.encoder: place for place, one in reversed(plain) if one.selected}
    for model, base, what in related.conditions:
        if model in main and base in main:
            layer = scored[main[model]].layer
            other = at[base].get(layer, main[base])
            label = "before and after fine-tuning" if what == "fine-tuning" else f"{what} changed"
            found.append({"label": visible(f"{model} and {base}: {label}"), "a": other, "b": main[model]})
    for model in related.models:
        places = list(at.get(model, {}).values())
        if len(places) > 1:
            found.append({"label": visible(f"{model}: first and last layer"), "a": places[0], "b": places[-1]})
    for place, one in enumerate(scored):
        if one.swept and one.encoder in main:
            found.append({"label": f"{one.series} and {scored[main[one.encoder]].series}", "a": main[one.encoder]})
            found[-1]["b"] = place
    named = {one.series: place for place, one in reversed(plain) if one.selected}
    if best in named and reference in named and best != reference:
        found.insert(0, {"label": f"{reference} and {best}", "a": named[reference], "b": named[best]})
    return found
