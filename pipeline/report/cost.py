"""results/cost.md: what each encoder costs, beside how well it orders the pairs."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from pipeline.report import cost_rows
from pipeline.report.markdown import escaped, section, table
from pipeline.report.numbers import if_any, significant, with_interval

MOST_ROWS = 10
MIB = 2**20
CAPTION = (
    "A point is an encoder, the further left the faster and the further up the better; a model has one for each layer "
    "at which it was left, the first and the last numbered. Nothing lies above the dashed front; vertical bars are "
    "intervals of rho, of models at the selected layer, and horizontal ones quartiles of the time."
)
HEADER = (
    "encoder",
    "rho",
    "ms a pair",
    "without tokenization",
    "pairs a second",
    "at once",
    "CPU ms",
    "parameters, millions",
    "memory, MiB",
    "GPU, MiB",
    "on disk, MiB",
)


def page(efficiency: pl.DataFrame, correlations: pl.DataFrame, environment: Mapping[str, Any], split: str) -> str:
    """The text of the page from EFFICIENCY, ENVIRONMENT (formats.efficiency) and CORRELATIONS, with cost.png beside
    it.
    """
    rows = cost_rows.rows(efficiency, correlations, split)
    lines = ["# Cost and accuracy", "", *answer(rows, split), ""]
    if len(rows):
        lines += [f"![rho on {escaped(split)} against milliseconds for a pair](cost.png)", "", CAPTION, ""]
        lines += section("What each encoder costs", *figures(rows))
    lines += section("Not on this page", left_out(efficiency, cost_rows.without_rho(efficiency, rows)))
    lines += section("How it was measured", *method(environment))
    return "\n".join(lines).rstrip("\n") + "\n"


def answer(rows: pl.DataFrame, split: str) -> list[str]:
    """The front in a sentence for each step, the cheapest first."""
    if rows.is_empty():
        return ["No encoder has both a cost and a rho."]
    front = rows.filter("front").sort("ms")
    lines = [f"On {escaped(split)}, nothing is both faster and better than these (the Pareto front):", ""]
    for row in front[-MOST_ROWS:].iter_rows(named=True):
        rho = with_interval(row, "spearman")
        lines.append(f"- **{escaped(cost_rows.with_layer(row))}**: rho {rho}, {significant(row['ms'])} ms a pair")
    if len(front) > MOST_ROWS:
        lines.append(f"- and {len(front) - MOST_ROWS} cheaper ones, which are in efficiency.csv")
    lines += ["", "It takes every rho and time as measured: where intervals overlap, a step may be noise."]
    return [*lines, *slower(rows)]


def slower(rows: pl.DataFrame) -> list[str]:
    """How many times as long each model takes as the best encoder without layers; nothing where one side is missing."""
    best = rows.filter(pl.col("layer").is_null()).sort("spearman", descending=True)
    models = rows.filter("selected", pl.col("layer").is_not_null())
    if best.is_empty() or models.is_empty():
        return []
    base = best.row(0, named=True)
    ratios = [
        f"{escaped(cost_rows.with_layer(row))}: {significant(row['ms'] / base['ms'])}"
        for row in models[:MOST_ROWS].iter_rows(named=True)
    ]
    return ["", f"Times as long for a pair as {escaped(base['name'])}, the best without layers: {'; '.join(ratios)}."]


def figures(rows: pl.DataFrame) -> list[list[str]]:
    """A table of every encoder at its selected layer, those with the largest rho where they are many."""
    chosen = rows.filter("selected").sort("spearman", descending=True)
    shown = [_cells(row) for row in chosen[:MOST_ROWS].iter_rows(named=True)]
    rest = f"{len(chosen) - MOST_ROWS} more are in efficiency.csv. " if len(chosen) > MOST_ROWS else ""
    note = (
        f"{rest}Each model is shown at the layer selected on train, at which it is left. Brackets of rho are "
        "intervals, those of ms quartiles of the repeats. *Memory* is the most that the process had resident: Python "
        "and its libraries are in it, torch among them for a network."
    )
    return [table(HEADER, shown), [note]]


def _cells(row: dict[str, Any]) -> list[str]:
    spread = f"{significant(row['ms'])} [{significant(row['ms_low'])}, {significant(row['ms_high'])}]"
    return [
        escaped(cost_rows.with_layer(row)),
        with_interval(row, "spearman"),
        spread,
        significant(row["encoding_ms"]),
        significant(1000 / row["best_ms"]),
        str(row["best_size"]),
        significant(row["cpu_ms"]),
        significant(row["parameters"] / 1e6) if row["parameters"] else "",
        *(_mebibytes(row[name]) for name in ("peak_bytes", "gpu_reserved_bytes", "disk_bytes")),
    ]


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _mebibytes(count: int | None) -> str:
    return significant(count / MIB) if count else ""


def left_out(efficiency: pl.DataFrame, no_rho: list[str]) -> list[str]:
    """A line for each encoder that failed, and one for those without a rho."""
    failed = efficiency.filter(pl.col("error").is_not_null())
    lines = [f"- {escaped(row['name'])}: {escaped(row['error'])}" for row in failed.iter_rows(named=True)]
    if no_rho:
        lines.append(f"- {', '.join(map(escaped, no_rho))}: results/correlations.csv has no rho of it")
    return lines or ["Nothing: every encoder was measured and has a rho."]


def method(environment: Mapping[str, Any]) -> list[list[str]]:
    """How the figures came about, and what they do not say."""
    found = environment
    versions = ", ".join(f"{escaped(name)} {escaped(number)}" for name, number in found["versions"].items())
    quota = f" (of which {significant(found['quota'])} may be used)" if found["quota"] else ""
    turns = "The encoders took turns." if found["interleaved"] else "The encoders ran one after the other."
    loads = [if_any(found[name], 1) for name in ("load_before", "load_after")]
    busy = (
        f" The load was {loads[0]} before and {loads[1]} after: other programs slow all figures." if all(loads) else ""
    )
    return [
        [
            f"{escaped(found['cpu'])}, {_counted(found['cores'], 'core')}{quota}, "
            f"torch on {_counted(found['threads'], 'thread')}, {escaped(found['gpu'] or 'no GPU')}; {versions}; "
            f"{escaped(found['date'])}.{busy}"
        ],
        [
            f"Every encoder compared the same {found['pairs']} pairs in a process of its own, in {found['repeats']} "
            f"repeats after a warm-up. {turns} A time runs from two texts to their score. On a GPU it ends when the "
            "score has arrived. *Without tokenization* it starts at the token ids; overlap has no such step. *Pairs a "
            "second* are those of the best batch size, at the same layer; *at once* says how many pairs that is."
        ],
        [
            "Models are pooled by the mean here, whatever pooling gave rho; the time of pooling is small beside a "
            "block. Nothing is padded: only sentences of one length share a pass. Random word vectors are drawn anew "
            "for each batch."
        ],
    ]
