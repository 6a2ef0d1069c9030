"""Token states -> the scores of every pooling, correction and similarity of one model at every layer."""

import sys

import polars as pl

from pipeline import cli, fitted, params, pooling, splits, sweeping, tokenizers
from pipeline.cli import In, Name, Out


def main(model: Name, states: In, tokens: In, pairs: In, fits: In, out: Out):
    """Pool the shards in STATES in one read, and write the scores of PAIRS to the folder OUT (Parquet); read them again for where attention
    looked, where FITS has it."""
    settings = params.section("sweep", sweeping.Sweep)
    table, learned = pl.read_parquet(pairs), fitted.read(fits)
    weights = pooling.token_weights(*tokenizers.read(tokens)[:2], splits.train_sentences(table), settings.poolings)
    for name, reason in sweeping.sweep(states, table, out / "scores.parquet", model, settings, weights, learned).items():
        print(f"{model}: {name} is left out, {reason}", file=sys.stderr)
    sweeping.write_attention(states, out / "attention.parquet", learned)


if __name__ == "__main__":
    cli.run(main)
