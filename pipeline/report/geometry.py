"""results/geometry.md: how the geometry of the layers goes with rho, and what it says of the paper's claims."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from pipeline.report.markdown import escaped, section, table
from pipeline.report.numbers import fixed, is_defined, percent, significant

SHOWN = 5
"""measures of a model that go most with rho"""
MOST_MODELS = 4
"""beside each other in a table"""
ROUNDING = 1e-12
"""correlations closer than this are equal"""
CAPTION = (
    "A panel is a measure, and a line a model over its layers, with the interval of each (of rho, up to two models); "
    "dotted is the most that the number of sentences, tokens or dimensions leaves possible. A measure that goes with "
    "rho has the shape of the first panel, or that shape upside down. What each is: docs/reference/geometry.md."
)


def page(curves: pl.DataFrame, related: pl.DataFrame, facts: Mapping[str, Any], split: str) -> str:
    """The text of the page from the curves of JOINED, WITH_RHO and FACTS (formats.geometry)."""
    lines = ["# The geometry of the layers", "", *answer(related, facts, split), ""]
    lines += ["![Every measure over depth](geometry.png)", "", CAPTION, ""]
    lines += section("What goes with rho", *going_with_rho(related, facts))
    lines += section("Does the entropy fall with depth (claim C6)?", *entropies(curves, facts))
    lines += section("Does the mean dilute the signal (claim C7)?", *dilution(curves, facts))
    lines += section(
        "Layers beside each other",
        ["![CKA and subspace displacement of all pairs of layers](geometry-layers.png)"],
        [
            "A cell is a pair of layers: CKA is 1 where both hold the same distances up to a rotation and a scale, and "
            "displacement is 0 where both have the same principal directions, 1 where these are at right angles. "
            "Squares along the diagonal are runs of layers that hardly change."
        ],
    )
    lines += section("How it was measured", *method(curves, facts))
    return "\n".join(lines).rstrip("\n") + "\n"


def title_of(name: str, facts: Mapping[str, Any]) -> str:
    """A measure as a table has it: its title, and whether it is of tokens where one of vectors has the same."""
    one = facts["measures"][name]
    is_shared = [other["title"] for other in facts["measures"].values()].count(one["title"]) > 1
    return escaped(one["title"] + (", tokens" if is_shared and one["level"] == "tokens" else ""))


def strongest(related: pl.DataFrame, model: str) -> pl.DataFrame:
    """The rows of a model that go most with rho, the strongest first."""
    known = related.filter(pl.col("correlation").is_not_null(), encoder=model)
    return known.sort(pl.col("correlation").abs(), descending=True, maintain_order=True)


def answer(related: pl.DataFrame, facts: Mapping[str, Any], split: str) -> list[str]:
    """A line for each model: what goes most with rho, and whether depth alone would explain it."""
    lines = [f"Over the layers of a model, rho on {escaped(split)} goes most with:", ""]
    for model in related["encoder"].unique(maintain_order=True):
        rows = strongest(related, model)
        if rows.is_empty():
            lines.append(f"- **{escaped(model)}**: nothing; too few layers have a rho")
            continue
        lines.append(f"- **{escaped(model)}**: {best_of(rows, facts)}")
    return [
        *lines,
        "",
        "This ranks layers of one model and proves nothing: most curves rise or fall with depth, as rho does.",
    ]


def best_of(rows: pl.DataFrame, facts: Mapping[str, Any]) -> str:
    """The measure that goes most with rho, or how many do so alike; and how depth itself does."""
    row = rows.row(0, named=True)
    alike = rows.filter((pl.col("correlation").abs() - abs(row["correlation"])).abs() < ROUNDING)
    depth = (
        f"depth itself {fixed(row['rho_with_depth'], 2, '+')}"
        if is_defined(row["rho_with_depth"])
        else "depth does not"
    )
    if len(alike) > 1:
        size = fixed(abs(row["correlation"]), 2)
        return f"{len(alike)} of {len(rows)} measures alike (+{size} or -{size}, over {row['layers']} layers); {depth}"
    what = title_of(row["measure"], facts)
    return f"{what} ({fixed(row['correlation'], 2, '+')}, over {row['layers']} layers); {depth}"


def going_with_rho(related: pl.DataFrame, facts: Mapping[str, Any]) -> list[list[str]]:
    """A table for each model."""
    paragraphs = []
    for model in related["encoder"].unique(maintain_order=True)[:MOST_MODELS]:
        rows = strongest(related, model)
        if rows.is_empty():
            continue
        cells = [
            [
                title_of(row["measure"], facts),
                *(fixed(row[name], 2, "+") for name in ("correlation", "with_depth")),
            ]
            for row in rows[:SHOWN].iter_rows(named=True)
        ]
        depth = fixed(rows["rho_with_depth"][0], 2, "+")
        paragraphs += [
            [f"{escaped(model)}, {rows['layers'][0]} layers; rho itself goes with depth by {depth}:"],
            table(["measure", "with rho", "with depth"], cells),
        ]
    note = (
        "Spearman's correlations over layers. There are no p-values, since neighbouring layers are not independent. "
        "All of them are in geometry.csv."
    )
    return [*paragraphs, [note]]


def _of_claim(curves: pl.DataFrame, facts: Mapping[str, Any], claim: str) -> list[str]:
    return [name for name, one in facts["measures"].items() if one["claim"] == claim and name in curves["measure"]]


def ends(curves: pl.DataFrame, model: str, measure: str) -> str:
    """The measure at the first and at the last layer of a model: `5.2 to 3.8`; nothing where it was left out."""
    rows = curves.filter(encoder=model, measure=measure).sort("layer")
    if rows.is_empty() or not all(is_defined(rows["value"][at]) for at in (0, -1)):
        return ""
    return f"{significant(rows['value'][0])} to {significant(rows['value'][-1])}"


def entropies(curves: pl.DataFrame, facts: Mapping[str, Any]) -> list[list[str]]:
    """What each kind of entropy does from the first layer to the last."""
    models = curves["encoder"].unique(maintain_order=True).to_list()[:MOST_MODELS]
    rows = []
    for name in _of_claim(curves, facts, "C6"):
        rows.append([title_of(name, facts), *(ends(curves, model, name) for model in models)])
    return [
        [
            "arXiv 2502.14620 gives neither formula nor code for an entropy that falls from 5.2 to 3.8. Whether one "
            "falls depends on which it is. In nats, from the first layer to the last (the paper's layers 3 and 12 are "
            "4 and 13 here):"
        ],
        table(["entropy", *map(escaped, models)], rows),
        ["A softmax entropy depends on the scale: where the norm grows it falls, whatever the directions do."],
    ]


def dilution(curves: pl.DataFrame, facts: Mapping[str, Any]) -> list[list[str]]:
    """What the mean of a sentence keeps, from the first layer to the last."""
    models = curves["encoder"].unique(maintain_order=True).to_list()[:MOST_MODELS]
    rows = []
    for name in _of_claim(curves, facts, "C7"):
        rows.append([title_of(name, facts), *(ends(curves, model, name) for model in models)])
    return [
        table(["measure", *map(escaped, models)], rows),
        [
            "A signal-to-noise of 0 is that of independent tokens of one distribution. n / m is 1 where every token "
            "has the same share in the mean, and n where one token is all of it. If the mean diluted more with depth, "
            "the signal-to-noise would fall, or n / m would grow."
        ],
    ]


def method(curves: pl.DataFrame, facts: Mapping[str, Any]) -> list[list[str]]:
    """Sentences, intervals, and what was left out."""
    count = int(curves["sentences"].max())  # type: ignore[arg-type]
    size = percent(facts["confidence"])
    text = (
        f"{count:,} distinct sentences were drawn, fewer for what costs much: geometry.parquet says how many. Bands "
        f"are {size} intervals. Their standard error comes from {facts['resamples']} halves of the sentences, drawn "
        "without replacement; sentences that pairs connect stay together. A bootstrap would draw some twice, and they "
        "would be their own nearest neighbours. A band holds for one layer at a time."
    )
    missing = []
    for model, names in facts["left_out"].items():
        for reason in dict.fromkeys(names.values()):
            listed = ", ".join(name for name, why in names.items() if why == reason)
            missing.append(f"- {escaped(model)}: {escaped(listed)}; {escaped(reason)}")
    return [[text], ["Left out:"] if missing else [], missing]
