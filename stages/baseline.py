"""Pairs -> scores or sentence vectors of one baseline."""

import polars as pl

from pipeline import baselines, catalog, cli
from pipeline.cli import In, Name, Out


def main(baseline: Name, pairs: In, sentences: In, out: Out):
    """Run BASELINE of catalog.yaml over PAIRS and SENTENCES; write to the folder OUT."""
    entry = catalog.entry("baselines", baseline)
    result = baselines.run(entry, baseline, pl.read_parquet(pairs), pl.read_parquet(sentences))
    baselines.write(out, baseline, result)


if __name__ == "__main__":
    cli.run(main)
