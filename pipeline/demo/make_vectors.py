"""Documents -> word vectors in GloVe's text format."""

import polars as pl

from pipeline.base import cli, settings
from pipeline.base.cli import In, Out
from pipeline.demo import wordvectors
from pipeline.demo.settings import PARAMS, WordVectors


def main(documents: In, out: Out) -> None:
    """Count the words of the DOCUMENTS that are not held out; write OUT (.txt.gz)."""
    texts = pl.read_parquet(documents).filter(~pl.col("held_out"))["text"].to_list()
    wordvectors.write(out, *wordvectors.train(texts, settings.section(WordVectors, PARAMS)))


if __name__ == "__main__":
    cli.run(main)
