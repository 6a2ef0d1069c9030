"""The first lines of poolings.md: which poolings differ from the mean, and whether learned attention does."""

from typing import Any

import polars as pl

from pipeline.report.markdown import escaped, words
from pipeline.report.numbers import is_defined, is_significant, p_equals, signed
from pipeline.report.sentences import significantly

ATTENTION, CONTROL = "attention", "diagonal"
"""the learned pooling that a page speaks of, and its control: as many parameters, but one weight for each dimension"""
SAME = 1e-9
"""two rhos that are closer than this are those of the same scores"""


def of_model(rows: pl.DataFrame) -> list[str]:
    """A list item for each split of one model's rows of POOLINGS."""
    lines = []
    for split in rows.partition_by("split", maintain_order=True):
        first = split.row(0, named=True)
        sentences = f"{significant(split)} {attention(split)}".rstrip()
        lines.append(f"- **{escaped(first['encoder'])}, {escaped(first['split'])}** ({first['n']} pairs). {sentences}")
    return lines


def reference_of(rows: pl.DataFrame) -> str:
    """The pooling that the others are compared with: the mean, if it was swept."""
    return rows.filter(pl.col("against").is_null(), family="pooling")["pooling"][0]


def named(reference: str) -> str:
    """The reference in a sentence."""
    return "the mean" if reference == "mean" else words(reference)


def significant(rows: pl.DataFrame) -> str:
    """Which poolings differ significantly from the reference on one split, in a sentence or two."""
    reference = reference_of(rows)
    compared = rows.filter(pl.col("p").is_not_null(), family="pooling", against=reference).rows(named=True)
    if not compared:
        return f"No pooling could be compared with {named(reference)}."
    return significantly(compared, "p", named(reference), lambda row: words(row["pooling"]), "better than", "worse")


def attention(rows: pl.DataFrame) -> str:
    """What can be said of learned attention on one split, in a sentence or two; nothing where it was not swept."""
    reference = reference_of(rows)
    against = {row["against"]: row for row in rows.filter(family="pooling", pooling=ATTENTION).iter_rows(named=True)}
    if not against or reference == ATTENTION:
        return ""
    row, control = against.get(reference), against.get(CONTROL)
    if row is None or not is_defined(row["p"]):
        return f"Learned attention could not be compared with {named(reference)}."
    if equals_mean(rows, ATTENTION):
        return "Attention learned nothing significant at the selected layer: it is the mean."
    text = f"Learned attention {_differs(row)} {named(reference)}: {signed(row, 'difference')}, {p_equals(row['p'])}."
    if control and equals_mean(rows, CONTROL):
        return f"{text} Its control, with as many parameters, learned nothing significant and is the mean."
    if control and is_defined(control["p"]):
        comparison = f"{signed(control, 'difference')}, {p_equals(control['p'])}"
        return f"{text} It {_differs(control)} its control, which has as many parameters: {comparison}."
    return text


def _differs(row: dict[str, Any]) -> str:
    return "differs significantly from" if is_significant(row["p"]) else "does not differ significantly from"


def equals_mean(rows: pl.DataFrame, pooling: str) -> bool:
    """Whether all runs of a learned pooling are the mean of the same layer: what is not significant is not kept."""
    learned = rows.filter(family="pooling", pooling=pooling, against="mean")
    mean = rows.filter(pl.col("against").is_null(), family="pooling", pooling="mean")
    if learned.is_empty() or mean.is_empty() or learned["layer"][0] != mean["layer"][0]:
        return False
    spread, difference = learned["spread"][0], learned["difference"][0]
    return spread == 0 and difference is not None and abs(difference) < SAME
