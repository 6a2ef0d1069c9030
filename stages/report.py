"""Correlations -> report.md, with the picture of rho by layer."""

from dataclasses import replace

from pipeline.analyse.settings import Correlate
from pipeline.base import cli, settings
from pipeline.base.cli import In, Out
from pipeline.base.files import write_text
from pipeline.claims.evidence import relations
from pipeline.claims.study import Scored, opening
from pipeline.formats import baselines as of_baselines
from pipeline.formats import manifest, tables
from pipeline.formats import pairs as of_pairs
from pipeline.formats import scores as of_scores
from pipeline.formats.splits import main_split
from pipeline.report import layers_picture, pictures
from pipeline.report.material import Material, Method
from pipeline.report.models import seeds
from pipeline.report.page import page
from pipeline.report.rows import reported_splits
from pipeline.report.settings import Report


def main(pairs: In, table: In, scores: In, manifests: In, baselines: In, report: Out, curve: Out) -> None:
    """Write REPORT (Markdown) and CURVE (PNG, an SVG beside it) from the correlations in TABLE and from what they were
    computed from.
    """
    study, correlate = settings.study(), settings.section(Correlate)
    all_pairs = of_pairs.read_pairs(pairs / "pairs.parquet")
    material = Material(
        table=tables.read(table, tables.CORRELATIONS, "correlate"),
        scores=of_scores.read(scores, all_pairs),
        pairs=all_pairs,
        sentences=of_pairs.read_sentences(pairs / "sentences.parquet", all_pairs),
        info=of_pairs.read_info(pairs / "info.json"),
        manifests={name: manifest.read(manifests / f"{name}.json", name) for name in study.models},
        baselines={name: of_baselines.read_info(baselines / name, name) for name in study.baselines},
    )
    related = relations(material.manifests, material.baselines)
    scored = Scored(material.scores, material.pairs, material.info, material.table, related)
    material = replace(material, verdicts=opening(scored, correlate))
    method = Method(correlate.confidence, correlate.resamples, correlate.reference)
    write_text(report, page(material, method, settings.section(Report)))
    splits = reported_splits(material.table, material.info["subsets"])
    main = main_split(splits, material.info["subsets"]) or splits[-1]
    pictures.save(layers_picture.draw(material.table, splits, main, seeds(material.manifests)), curve)


if __name__ == "__main__":
    cli.run(main)
