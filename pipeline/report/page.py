"""results/report.md: which encoder orders the pairs as their labels do."""

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from pipeline.formats import splits as splits_of
from pipeline.report import (
    answer,
    claims,
    controls,
    correlations,
    depth,
    diagnosis,
    examples,
    methods,
    models,
    norms,
)
from pipeline.report.layers_picture import CURVE, MOST_EDGES
from pipeline.report.markdown import escaped, section
from pipeline.report.material import Material, Method
from pipeline.report.models import seeds
from pipeline.report.numbers import percent
from pipeline.report.rows import reported_splits, without_nan
from pipeline.report.settings import Report


def page(material: Material, method: Method, settings: Report) -> str:
    """The text of the page, with layers.png beside it."""
    material = replace(material, table=without_nan(material.table))
    table, info, manifests = material.table, material.info, material.manifests
    splits = reported_splits(table, info["subsets"])
    main = splits_of.main_split(splits, info["subsets"]) or splits[-1]
    lines = [f"# {escaped(info['dataset'])}: similarity scores against labels", ""]
    lines += [*controls.of_pairs(info["control"]), *models.warnings(manifests)]
    lines += norms.warnings(material.scores.norms, manifests)
    lines += [*answer.sections(material, method, main), *diagnosis.sections(table, method, main)]
    lines += claims.opening(material.verdicts)
    lines += [*models.untrained(manifests), *models.readouts(manifests), *answer.on_learned_poolings(table)]
    lines += ["![Spearman's rho by layer](layers.png)", "", caption(table, method, main, seeds(manifests)), ""]
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


def caption(table: pl.DataFrame, method: Method, main: str, seeds: Mapping[str, str]) -> str:
    """How to read the picture, in sentences."""
    share, has_layer = percent(method.confidence), table["layer"].is_not_null()
    if not has_layer.any():
        return (
            f"A square is an encoder's rho, and the line through it the {share} interval. Where intervals overlap, the "
            "order of the rows may be luck."
        )
    one = "A curve is a model's rho at each layer, ringed at the selected one"
    if not has_layer.all():
        one += f"; a dashed line is an encoder without layers, with its {share} interval at the right end"
    two = (
        f"Shaded is the {share} band of the model with the largest rho on {escaped(main)}, which holds for all its "
        "layers at once."
    )
    curves = table.filter(has_layer).select(CURVE).n_unique()
    if curves == MOST_EDGES and not seeds:
        two = f"{two.removesuffix('.')}; dotted lines bound that of the other."
    if seeds:
        two += " Where a curve stands for several seeds, it is their mean, and its shading their range."
    return f"{one}. {two} [How to read this page](#how-to-read-this-page) explains the figures."
