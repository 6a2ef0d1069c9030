"""Scores -> correlations with the labels, with intervals, and what follows from them (`inference.infer`)."""

import json

import polars as pl

from pipeline import cli, correlation, inference, params
from pipeline.cli import In, Out
from pipeline.files import replacing


def main(pairs: In, info: In, scores: In, table: Out, metrics: Out):
    """Correlate SCORES with the labels of PAIRS; write TABLE (CSV) and METRICS (JSON)."""
    settings = params.section("correlate", correlation.Correlate)
    about = json.loads(info.read_text())
    given = pl.read_parquet(scores), pl.read_parquet(pairs), about["subsets"], settings
    found = inference.infer(*given)
    with replacing(table) as part:
        found.write_csv(part)
    with replacing(metrics) as part:
        part.write_text(json.dumps(correlation.metrics(found, about["dataset"]), indent=2) + "\n")


if __name__ == "__main__":
    cli.run(main)
