"""Scores -> correlations with the labels, with intervals, and what follows from them."""

from pipeline.analyse import correlate, infer
from pipeline.analyse.settings import Correlate
from pipeline.base import cli, files, settings
from pipeline.base.cli import In, Out
from pipeline.formats import pairs as pairs_format
from pipeline.formats import scores as scores_format
from pipeline.formats import splits, tables


def main(pairs: In, info: In, scores: In, table: Out, metrics: Out) -> None:
    """Correlate SCORES with the labels of PAIRS; write TABLE (CSV) and METRICS (JSON)."""
    section = settings.section(Correlate)
    facts, pairs_table = pairs_format.read_info(info), pairs_format.read_pairs(pairs)
    scored = scores_format.read(scores, pairs_table)
    correlations = correlate.correlate(scored, pairs_table, facts["subsets"], section)
    inferred = infer.infer(correlations, section)
    split = splits.main_split(list(correlations.groups), facts["subsets"])
    assert split is not None  # a dataset has at least one
    figures = correlate.metrics(inferred, facts["dataset"], correlations.chosen_on, split)
    tables.write(table, inferred, tables.CORRELATIONS)
    files.write_json(metrics, figures)


if __name__ == "__main__":
    cli.run(main)
