"""Token states -> sentence vectors of one model at every layer (contract C4)."""

import polars as pl

from pipeline import cli, fitted, params, pooling, splits, tokenizers
from pipeline.cli import In, Name, Out


def main(model: Name, states: In, tokens: In, pairs: In, fits: In, out: Out):
    """Pool the shards in STATES by params.yaml's `pooling`, with weights from TOKENS and the train sentences of PAIRS, or what FITS
    holds, where it takes them; write the vectors to OUT (Parquet)."""
    name = params.study().pooling
    train = splits.train_sentences(pl.read_parquet(pairs))
    weights = pooling.token_weights(*tokenizers.read(tokens)[:2], train, [name])
    pooling.pool(states, name, out, {"encoder": model, "pooling": name}, weights, fitted.read(fits), train)


if __name__ == "__main__":
    cli.run(main)
