"""The first lines of report.md: which encoder orders the pairs best, and whether it differs from the reference."""

import polars as pl

from pipeline.formats import fits
from pipeline.report import controls
from pipeline.report.markdown import escaped, words
from pipeline.report.material import Material, Method
from pipeline.report.numbers import is_significant, with_interval
from pipeline.report.rows import selected


def sections(material: Material, method: Method, split: str) -> list[str]:
    """What is found on a split, in a paragraph."""
    best = selected(material.table, split).filter(pl.col("spearman").is_not_null())
    best = best.sort("spearman", descending=True)
    if best.is_empty():
        return [f"On {escaped(split)}, rho is undefined for every encoder.", ""]
    first = best.row(0, named=True)
    named = _encoder(first, material)
    sentences = [f"On {escaped(split)}, {named} has the largest rho: {with_interval(first, 'spearman')}."]
    models = best.filter(pl.col("encoder").is_in(list(material.manifests)))
    if len(models) and first["encoder"] not in material.manifests:
        model = models.row(0, named=True)
        sentences.append(f"The best model is {_encoder(model, material)}: {with_interval(model, 'spearman')}.")
    if method.reference and best["difference"].is_not_null().any():
        sentences.append(_against(best, escaped(method.reference)))
    return [" ".join(sentences), ""]


def _encoder(row: dict, material: Material) -> str:
    """An encoder with its pooling and layer, and what makes it no result, where it has any: demo (mean, layer 1)."""
    details = []
    if row["pooling"] not in (None, "mean") or row["layer"] is not None:
        details.append(words(row["pooling"]))
    if row["layer"] is not None:
        details.append(f"layer {row['layer']}")
    manifest = material.manifests.get(row["encoder"])
    if control := controls.of_model(manifest):
        details.append(f"a control: {control}")
    elif manifest and manifest["gate"] and not manifest["gate"]["passed"]:
        details.append("which fails the language-model check")
    return f"**{escaped(row['name'])}**" + (f" ({', '.join(details)})" if details else "")


def _against(best: pl.DataFrame, reference: str) -> str:
    different = [row for row in best.iter_rows(named=True) if is_significant(row["difference_p"])]
    above = [escaped(row["name"]) for row in different if row["difference"] > 0]
    below = [escaped(row["name"]) for row in different if row["difference"] < 0]
    if not above and not below:
        return f"No encoder differs significantly from {reference}."
    sentences = [f"No encoder is significantly above {reference}."]
    if above:
        sentences = [f"Significantly above {reference}: {', '.join(above)}."]
    if below:
        sentences.append(f"Significantly below: {', '.join(below)}.")
    return " ".join(sentences)


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
