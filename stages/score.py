"""Sentence vectors -> one score for each pair, encoder, layer and similarity (contract C5)."""

from itertools import chain

from pipeline.base import cli, settings
from pipeline.base.cli import In, Out
from pipeline.formats import pairs as pair_files
from pipeline.formats import scores
from pipeline.score.run import score_baseline, score_model
from pipeline.score.settings import Score


def main(pairs: In, pooled: In, baselines: In, out: Out) -> None:
    """Score PAIRS with the models' vectors in POOLED and with BASELINES; write the tidy table to OUT (Parquet)."""
    study, section, table = settings.study(), settings.section(Score), pair_files.read_pairs(pairs)
    of_models = (score_model(pooled / name / "vectors.parquet", name, table, section) for name in study.models)
    of_baselines = (score_baseline(baselines / name, name, table, section) for name in study.baselines)
    scores.write(out, chain.from_iterable(chain(of_models, of_baselines)))


if __name__ == "__main__":
    cli.run(main)
