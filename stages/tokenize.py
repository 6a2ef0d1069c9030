"""Sentences -> token ids of one model."""

import polars as pl

from pipeline import catalog, cli, params, tokenizers
from pipeline.cli import In, Name, Out


def main(model: Name, sentences: In, out: Out):
    """Write the token ids of SENTENCES for MODEL of catalog.yaml to OUT (Parquet)."""
    entry = catalog.entry("models", model)
    settings = params.section("tokenize", tokenizers.Tokenize)
    table = pl.read_parquet(sentences)
    tokenizer = tokenizers.tokenizer_of(entry, model)
    ids, truncated = tokenizers.tokenize(table["text"].to_list(), tokenizer, settings, entry.bos)
    info = {"tokenizer": tokenizer.fingerprint, "bos": entry.bos}
    tokenizers.write(out, table["sentence_id"].to_numpy(), ids, tokenizers.pieces_of(ids, tokenizer), truncated, info)


if __name__ == "__main__":
    cli.run(main)
