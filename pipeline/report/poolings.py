"""results/poolings.md: which pooling, correction and similarity is better than the mean."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from pipeline.formats.splits import main_split
from pipeline.report import attention, combinations, controls, learned, methods, verdicts
from pipeline.report.markdown import escaped, words
from pipeline.report.material import Method
from pipeline.report.numbers import percent
from pipeline.report.rows import without_nan
from pipeline.report.sentences import left_out


def page(table: pl.DataFrame, summary: Mapping[str, Any], method: Method) -> str:
    """The text of the page from POOLINGS and SUMMARY (formats.tables), with poolings.png beside it."""
    table = without_nan(table)
    models = table["encoder"].unique(maintain_order=True).to_list()
    others = [model for model in summary["models"] if model not in models]
    lines = [f"# {escaped(summary['dataset'])}: which pooling?", "", *controls.of_pairs(summary["control"])]
    for model in models:
        lines += verdicts.of_model(table.filter(encoder=model))
    lines += left_out({escaped(model): _why(summary["models"][model]) for model in others}, "compared")
    if not models and not others:
        lines.append("There are no models: `models` in params.yaml is empty.")
    lines.append("")
    if summary["chosen_on"] in table["split"]:
        lines += [
            f"**There is no split but {escaped(summary['chosen_on'])}**: layers were chosen on the pairs that rho is "
            "reported on, which flatters a choice among many.",
            "",
        ]
    if models:
        split, reference = shown_split(table, summary), references(table, models)
        lines += ["![Spearman's rho by layer, and differences from the mean](poolings.png)", ""]
        lines += [caption(split, reference, method), ""]
        for model in models:
            lines += _model(model, table.filter(encoder=model, split=split), summary["models"][model])
        lines += methods.of_poolings(method, summary["chosen_on"])
    return "\n".join(lines).rstrip("\n") + "\n"


def shown_split(table: pl.DataFrame, summary: Mapping[str, Any]) -> str | None:
    """The split of which the page and the picture show everything; None without models."""
    names = table["split"].unique(maintain_order=True).to_list()
    return main_split(names, summary["subsets"]) or (names[-1] if names else None)


def _why(model: Mapping[str, Any]) -> str:
    """The reasons for which a model has no rows."""
    return "; ".join(escaped(reason.rstrip(".")) for reason in model["left_out"].values())


def _model(model: str, rows: pl.DataFrame, found: Mapping[str, Any]) -> list[str]:
    """Everything on one model."""
    lines = [f"## {escaped(model)}", "", *combinations.sections(rows), *combinations.without_labels(rows)]
    lines += [*learned.sections(model, found["learned"]), *attention.sections(model, found["attention"])]
    if found["left_out"]:
        listed = [f"{words(name)} ({escaped(reason)})" for name, reason in found["left_out"].items()]
        lines += [f"Left out: {'; '.join(listed)}.", ""]
    return lines


def references(table: pl.DataFrame, models: Sequence[str]) -> str:
    """The poolings that the others are compared with, in words: the mean, or of recurrent states `state`."""
    return " or ".join(dict.fromkeys(verdicts.named(verdicts.reference_of(table.filter(encoder=m))) for m in models))


def caption(split: str | None, reference: str, method: Method) -> str:
    """What the picture shows; reference: the pooling that the others are compared with, in words."""
    return (
        f"Left, on {escaped(split or '')}: a curve is rho of a pooling at each layer, and shading spans the runs of a "
        f"learned one. Right: a point is a pooling's difference from {reference} at its selected "
        f"layer, with its {percent(method.confidence)} interval; red and filled, p < .05 after Holm's correction. "
        "[How to read this page](#how-to-read-this-page) explains the figures."
    )
