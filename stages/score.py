"""Sentence vectors -> one score for each pair, encoder, layer and similarity (contract C5)."""

import polars as pl

from pipeline import cli, params, scoring
from pipeline.cli import In, Out
from pipeline.files import replacing


def main(pairs: In, pooled: In, baselines: In, out: Out):
    """Score PAIRS with the models' vectors in POOLED and with BASELINES; write the tidy table to OUT (Parquet)."""
    study = params.study()
    settings = params.section("score", scoring.Score)
    table = pl.read_parquet(pairs)
    folders = [pooled / name for name in study.models] + [baselines / name for name in study.baselines]
    with replacing(out) as part:
        pl.concat([scoring.score_encoder(folder, table, settings) for folder in folders]).write_parquet(part)


if __name__ == "__main__":
    cli.run(main)
