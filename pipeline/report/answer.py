"""The first lines of report.md: which encoder orders the pairs best, what depth does, and what cannot be told apart."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from pipeline.formats import fits
from pipeline.report import controls, depth
from pipeline.report.markdown import escaped, words
from pipeline.report.material import Material, Method
from pipeline.report.models import seeds
from pipeline.report.numbers import is_significant, signed, span, with_interval
from pipeline.report.rows import selected
from pipeline.report.sentences import listed

Manifests = Mapping[str, Mapping[str, Any]]


def sections(material: Material, method: Method, split: str) -> list[str]:
    """What is found on a split, in a list of three."""
    best = selected(material.table, split).filter(pl.col("spearman").is_not_null())
    best = best.sort("spearman", descending=True)
    if best.is_empty():
        return [f"On {escaped(split)}, rho is undefined for every encoder.", ""]
    models = best.filter(pl.col("encoder").is_in(list(material.manifests)))
    lines = [f"- **Best on {escaped(split)}:** {leader(best, models, material.manifests, method.reference)}"]
    if trends := depth.clauses(best.filter(pl.col("slope").is_not_null()), seeds(material.manifests)):
        lines.append(f"- **Depth:** rho {trends}.")
    if len(best) > 1:
        lines.append(f"- **Not separable from the best:** {not_separable(best, material.manifests)}")
    return [*lines, ""]


def leader(best: pl.DataFrame, models: pl.DataFrame, manifests: Manifests, reference: str | None) -> str:
    """The encoder with the largest rho, by how much it leads, and the best model where that is another."""
    first = best.row(0, named=True)
    sentences = [f"{called(first, manifests)}, with a rho of {with_interval(first, 'spearman')}."]
    leads = [f"{lead(row)} above the next, {called(row, manifests)}" for row in best[1:2].iter_rows(named=True)]
    if first["name"] == reference:
        sentences.append("It is the reference.")
    else:
        others = best[2:].filter(name=reference or "").iter_rows(named=True)
        leads += [f"{lead(row)} above the reference, {escaped(row['name'])}" for row in others]
    if leads:
        sentences.append(f"That is {', and '.join(leads)}.")
    if len(models) and models["name"][0] != first["name"]:
        model = models.row(0, named=True)
        sentences.append(f"The best model is {called(model, manifests)}: {with_interval(model, 'spearman')}.")
    return " ".join(sentences)


def lead(row: Mapping[str, Any]) -> str:
    """By how much the best is above a row, with the interval that allows for its having been selected."""
    names = {"lead": "below_best", "lead_low": "below_best_high", "lead_high": "below_best_low"}
    return signed({name: None if row[of] is None else -row[of] for name, of in names.items()}, "lead")


def not_separable(best: pl.DataFrame, manifests: Manifests) -> str:
    """Which encoders do not differ significantly from the best, and which differences would have been found."""
    others = best[1:].filter(pl.col("below_best_p").is_not_null())
    if others.is_empty():
        return "not known, since nothing could be tested."
    alike = [called(row, manifests) for row in others.iter_rows(named=True) if not is_significant(row["below_best_p"])]
    text = listed(alike) if alike else "none; every other encoder is significantly below it"
    if len(alike) == len(others) > 2:
        text = f"all of the {len(others)} others"
    return (
        f"{text}. With {best['n'][0]:,} pairs, a true difference of {span(others['below_best_detectable'])} from the "
        "best would be found in 80 % of samples."
    )


def called(row: Mapping[str, Any], manifests: Manifests) -> str:
    """An encoder with its pooling and layer, and what makes it no result, where it has any: demo (mean, layer 1)."""
    details = []
    if row["pooling"] not in (None, "mean") or row["layer"] is not None:
        details.append(words(row["pooling"]))
    if row["layer"] is not None:
        details.append(f"layer {row['layer']}")
    manifest = manifests.get(row["encoder"])
    if control := controls.of_model(manifest):
        details.append(f"a control: {control}")
    elif manifest and manifest["gate"] and not manifest["gate"]["passed"]:
        details.append("which fails the language-model check")
    return f"**{escaped(row['name'])}**" + (f" ({', '.join(details)})" if details else "")


def on_learned_poolings(table: pl.DataFrame) -> list[str]:
    """What to know where the pooling was learned from labels; nothing where it was not."""
    names = [
        name
        for name in table["pooling"].drop_nulls().unique(maintain_order=True)
        if name.startswith(tuple(fits.ARRAYS))
    ]
    if not names:
        return []
    verb = "was" if len(names) == 1 else "were"
    return [
        f"> **{', '.join(map(words, names))} {verb} learned from the labels of the train pairs**, which no baseline "
        "has seen. This page shows one run; its layer and threshold were chosen on pairs that it learned from. "
        "[poolings.md](poolings.md) has the mean of all runs, chooses layers on held-out pairs, and tests attention "
        "against the mean and its control.",
        "",
    ]
