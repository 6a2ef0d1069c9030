"""results/report.md: which encoder orders the pairs as their labels do."""

from dataclasses import replace

import polars as pl

from pipeline.formats import splits as splits_of
from pipeline.report import answer, claims, correlations, depth, diagnosis, examples, methods, models, norms
from pipeline.report.markdown import escaped, section
from pipeline.report.material import Material, Method
from pipeline.report.numbers import percent
from pipeline.report.rows import reported_splits, without_nan
from pipeline.report.settings import Report


def page(material: Material, method: Method, settings: Report) -> str:
    """The text of the page, with layers.png beside it."""
    material = replace(material, table=without_nan(material.table))
    table, info, manifests = material.table, material.info, material.manifests
    splits = reported_splits(table, info["subsets"])
    main = splits_of.main_split(splits, info["subsets"]) or splits[-1]
    lines = [f"# {escaped(info['dataset'])}: similarity scores against labels", "", *models.warnings(manifests)]
    lines += norms.warnings(material.scores.norms, manifests)
    lines += [*answer.sections(material, method, main), *diagnosis.sections(table, method, main)]
    lines += claims.opening(material.verdicts)
    lines += answer.on_learned_poolings(table)
    lines += ["![Spearman's rho by layer](layers.png)", "", " ".join(caption(table, method)), ""]
    for split in splits:
        lines += correlations.sections(material, method, split)
    lines += depth.sections(table, splits, main)
    lines += [*models.language_model_check(manifests), *models.coverage(material.baselines)]
    lines += models.sentence_encoders(material.baselines)
    lines += examples.sections(material, main, settings.false_positives)
    if table["layer"].is_not_null().any():
        lines += section(
            "Every layer", ["[correlations.csv](correlations.csv) has rho of every layer, with its interval and band."]
        )
    lines += models.provenance(manifests, info)
    decisions = bool(table["accuracy"].is_not_null().any())
    lines += methods.of_report(method, splits_of.chosen_on(table["split"]), decisions)
    return "\n".join(lines).rstrip("\n") + "\n"


def caption(table: pl.DataFrame, method: Method) -> list[str]:
    """What the picture shows, in sentences."""
    share = percent(method.confidence)
    sentences = []
    if table["layer"].is_not_null().any():
        sentences.append(
            f"Shaded: {share} bands that hold for all layers of a curve at once. Ring: the selected layer."
        )
    if table["layer"].is_null().any():
        sentences.append(f"Bars: {share} intervals of the encoders without layers, each by itself.")
    return [*sentences, "[How to read this page](#how-to-read-this-page) explains the figures."]
