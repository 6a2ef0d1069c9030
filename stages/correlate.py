"""Scores -> correlations with the labels, with intervals."""

import json

import polars as pl

from pipeline import cli, correlation, params
from pipeline.cli import In, Out


def main(pairs: In, info: In, scores: In, table: Out, metrics: Out):
    """Correlate SCORES with the labels of PAIRS; write TABLE (CSV) and METRICS (JSON)."""
    settings = params.section("correlate", correlation.Correlate)
    about = json.loads(info.read_text())
    found = correlation.correlate(pl.read_parquet(scores), pl.read_parquet(pairs), about["subsets"], settings)
    table.parent.mkdir(parents=True, exist_ok=True)
    found.write_csv(table)
    metrics.write_text(json.dumps(correlation.metrics(found, about["dataset"]), indent=2) + "\n")


if __name__ == "__main__":
    cli.run(main)
