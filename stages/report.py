"""Everything that was found -> one page and one picture."""

import json

import polars as pl

from pipeline import cli, correlation, params, reporting
from pipeline.cli import In, Out
from pipeline.files import replacing


def main(pairs: In, table: In, scores: In, manifests: In, baselines: In, report: Out, curve: Out):
    """Write REPORT (Markdown) and CURVE (PNG) from the folder PAIRS, the correlations in TABLE, SCORES, MANIFESTS and BASELINES."""
    study = params.study()
    found = pl.read_csv(table, schema_overrides=correlation.TYPES)
    about = json.loads((pairs / "info.json").read_text())
    page = reporting.report(
        found,
        pl.read_parquet(scores),
        pl.read_parquet(pairs / "pairs.parquet"),
        pl.read_parquet(pairs / "sentences.parquet"),
        about,
        {name: json.loads((manifests / f"{name}.json").read_text()) for name in study.models},
        {name: json.loads((baselines / name / "info.json").read_text()) for name in study.baselines},
        params.section("correlate", correlation.Correlate),
        params.section("report", reporting.Report),
    )
    with replacing(report) as part:
        part.write_text("\n".join(page) + "\n", encoding="utf-8")
    with replacing(curve) as part:
        reporting.layer_curve(found, reporting.reported_splits(found, about["subsets"]), part)


if __name__ == "__main__":
    cli.run(main)
