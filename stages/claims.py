"""Everything that was measured -> a verdict on each claim of the paper: claims.csv, claims.json, claims.md."""

from pipeline.analyse.settings import Correlate
from pipeline.base import cli, settings
from pipeline.base.cli import In, Out
from pipeline.base.files import write_text
from pipeline.claims.evidence import relations
from pipeline.claims.judge import summary
from pipeline.claims.study import Scored, main_split, measured, reported, verdicts
from pipeline.formats import baselines as baseline_files
from pipeline.formats import beside as beside_files
from pipeline.formats import claims, manifest, tables
from pipeline.formats import pairs as pair_files
from pipeline.formats import scores as score_files
from pipeline.report.claims import page
from pipeline.report.material import Method


def main(
    pairs: In,
    scores: In,
    manifests: In,
    baselines: In,
    correlations: In,
    poolings: In,
    probes: In,
    beside: In,
    table: Out,
    conditions: Out,
    results: Out,
    report: Out,
) -> None:
    """Judge the claims by what the other stages found, and by what lies BESIDE; write TABLE and CONDITIONS (CSV),
    RESULTS (JSON) and REPORT (Markdown).
    """
    study, section = settings.study(), settings.section(Correlate)
    all_pairs, info = pair_files.read_pairs(pairs / "pairs.parquet"), pair_files.read_info(pairs / "info.json")
    of_models = {name: manifest.read(manifests / f"{name}.json", name) for name in study.models}
    of_baselines = {name: baseline_files.read_info(baselines / name, name) for name in study.baselines}
    scored = Scored(
        scores=score_files.read(scores, all_pairs),
        pairs=all_pairs,
        info=info,
        correlations=tables.read(correlations, tables.CORRELATIONS, "correlate"),
        related=relations(of_models, of_baselines),
    )
    now = beside_files.study(pairs, manifests, baselines, [*study.models, *study.baselines])
    judged, differing = verdicts(
        scored,
        tables.read(poolings, tables.POOLINGS, "compare"),
        tables.read(probes, tables.PROBES, "probes"),
        measured(beside, now),
        section,
    )
    split = main_split(reported(scored), scored)
    claims.write(table, judged)
    claims.write_conditions(conditions, differing)
    claims.write_summary(results, summary(judged, info["dataset"], split))
    method = Method(section.confidence, section.resamples, section.reference)
    write_text(report, page(judged, differing, scored.related, split, method))


if __name__ == "__main__":
    cli.run(main)
