"""Documents -> word vectors in GloVe's text format (data/demo/dvc.yaml)."""

import polars as pl

from pipeline import cli, params, wordvectors
from pipeline.cli import In, Out

PARAMS = "data/demo/params.yaml"


def main(documents: In, out: Out):
    """Count the words of the DOCUMENTS that are not held out; write OUT (.txt.gz)."""
    texts = pl.read_parquet(documents).filter(~pl.col("held_out"))["text"].to_list()
    wordvectors.write(out, *wordvectors.train(texts, params.section("wordvectors", wordvectors.WordVectors, PARAMS)))


if __name__ == "__main__":
    cli.run(main)
