"""Scores of the sweeps -> which pooling, correction and similarity is better than the mean."""

import json

import polars as pl

from pipeline import cli, comparing, comparison_report, correlation, fitted, params, pooling, splits, sweeping, tokenizers
from pipeline.cli import In, Out
from pipeline.files import replacing


def main(pairs: In, sweeps: In, fits: In, tokens: In, table: Out, layers: Out, report: Out, picture: Out):
    """Compare the SWEEPS of all models with the labels of PAIRS; write TABLE and LAYERS (CSV), REPORT (Markdown) and PICTURE (PNG).
    FITS says what train pairs each run held out, TOKENS what attention looked at."""
    settings = params.section("correlate", correlation.Correlate)
    given, info = pl.read_parquet(pairs / "pairs.parquet"), json.loads((pairs / "info.json").read_text())
    found, curves, left_out, about, looks = [], [], {}, {}, {}
    for model in params.study().models:
        keys, scores, left_out[model] = sweeping.read(sweeps / model / "scores.parquet", given)
        about[model] = fitted.about(fits / model)
        found.append(comparing.compare(keys, scores, given, info["subsets"], settings, comparing.folds_of(given, about[model])))
        curves.append(comparing.by_layer(keys, scores, given, info["subsets"]))
        if layer := found[-1].filter(family="pooling", pooling="attention")["layer"].to_list():
            weights = sweeping.read_attention(sweeps / model / "attention.parquet", int(layer[0]))
            file = tokens / f"{model}.parquet"
            idf = pooling.token_weights(*tokenizers.read(file)[:2], splits.train_sentences(given), ["idf_mean"])["idf_mean"]
            looks[model] = comparison_report.look(weights, tokenizers.read_pieces(file), idf, given, layer[0])
    found, curves = (pl.concat([pl.DataFrame(schema=schema), *tables]) for schema, tables in ((comparing.SCHEMA, found), (comparing.CURVES, curves)))
    for frame, path in ((found, table), (curves, layers)):
        with replacing(path) as part:
            frame.write_csv(part)
    lines = comparison_report.page(found, left_out, about, looks, info, settings, splits.chosen_on(given["split"]))
    with replacing(report) as part:
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with replacing(picture) as part:
        comparison_report.picture(found, curves, comparison_report.main_split(found, info["subsets"]), part)


if __name__ == "__main__":
    cli.run(main)
