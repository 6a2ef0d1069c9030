"""Everything that a run found -> report.html, one page with its charts and a browser of its pairs."""

from pathlib import Path

import polars as pl

from pipeline.analyse.settings import Correlate
from pipeline.base import cli, settings
from pipeline.base.cli import In, Out
from pipeline.base.files import write_text
from pipeline.claims.evidence import relations
from pipeline.claims.study import measured
from pipeline.formats import attention, claims, manifest, tables
from pipeline.formats import baselines as baseline_files
from pipeline.formats import beside as beside_files
from pipeline.formats import pairs as pair_files
from pipeline.formats import scores as score_files
from pipeline.formats import sweeps as sweep_files
from pipeline.formats import tokens as token_files
from pipeline.page import combinations, words
from pipeline.page.checkout import commit
from pipeline.page.html import page
from pipeline.page.study import Study, Weights
from pipeline.report.material import Material, Method

ATTENTION = "attention"


def main(
    pairs: In,
    scores: In,
    sweeps: In,
    tokens: In,
    manifests: In,
    baselines: In,
    correlations: In,
    poolings: In,
    layers: In,
    probes: In,
    verdicts: In,
    beside: In,
    report: Out,
) -> None:
    """Write REPORT (HTML) from the tables of all stages, the scores that they come from, and what lies BESIDE."""
    study, section = settings.study(), settings.section(Correlate)
    all_pairs = pair_files.read_pairs(pairs / "pairs.parquet")
    material = Material(
        table=tables.read(correlations, tables.CORRELATIONS, "correlate"),
        scores=score_files.read(scores, all_pairs),
        pairs=all_pairs,
        sentences=pair_files.read_sentences(pairs / "sentences.parquet", all_pairs),
        info=pair_files.read_info(pairs / "info.json"),
        manifests={name: manifest.read(manifests / f"{name}.json", name) for name in study.models},
        baselines={name: baseline_files.read_info(baselines / name, name) for name in study.baselines},
    )
    compared = tables.read(poolings, tables.POOLINGS, "compare")
    now = beside_files.study(pairs, manifests, baselines, [*study.models, *study.baselines])
    found = measured(beside, now)
    chosen = {model: combinations.chosen(compared, model, study.pooling) for model in study.models}
    swept = {
        model: sweep_files.read_some(sweeps / model / "scores.parquet", all_pairs, model, wanted)
        for model, wanted in chosen.items()
    }
    scored = combinations.of_scores(material.scores, material.table)
    scored += [one for model, of_model in swept.items() for one in combinations.of_sweep(of_model, model)]
    shown = settings.read_yaml("params.yaml")
    without_shape = {model: why for model, why in found.without_shape.items() if model in study.models}
    everything = Study(
        material=material,
        method=Method(section.confidence, section.resamples, section.reference),
        related=relations(material.manifests, material.baselines),
        claims=claims.read(verdicts),
        poolings=compared,
        curves=tables.read(layers, tables.CURVES, "compare"),
        probes=tables.read(probes, tables.PROBES, "probes"),
        costs=found.costs.filter(~pl.col("encoder").is_in(list(found.without_cost))),
        shapes=found.shapes.filter(~pl.col("encoder").is_in(list(without_shape))),
        facts=dict(found.facts),
        stale={"cost": dict(found.without_cost), "geometry": without_shape},
        scored=scored,
        weights=attention_of(sweeps, tokens, compared, material),
        settings={name: value for name, value in shown.items() if name not in settings.OF_THE_MACHINE},
        digest=now["pairs"],
        code=commit(),
    )
    write_text(report, page(everything))


def attention_of(sweeps: Path, tokens: Path, compared: pl.DataFrame, material: Material) -> dict[str, Weights]:
    """Where learned attention of each model looks, at the layer chosen on train; without models that learned none."""
    found = {}
    for model in material.manifests:
        rows = compared.filter(encoder=model, family="pooling", pooling=ATTENTION)
        if rows.is_empty() or not (rows["layer"][0] or "").isdigit():
            continue
        layer = int(rows["layer"][0])
        weights = attention.read(sweeps / model / "attention.parquet", layer, model)
        pieces = token_files.read(tokens / f"{model}.parquet", model, pieces=True)
        if of_words := words.of_attention(layer, weights, pieces, material.sentences["text"].to_list()):
            found[model] = of_words
    return found


if __name__ == "__main__":
    cli.run(main)
