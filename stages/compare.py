"""Scores of the sweeps -> which pooling, correction and similarity is better than the mean."""

import polars as pl

from pipeline.analyse import attention, compare, curves, learned, options
from pipeline.analyse.settings import Correlate
from pipeline.base import cli, settings
from pipeline.base.cli import In, Out
from pipeline.base.progress import progress
from pipeline.formats import attention as attention_format
from pipeline.formats import fits as fits_format
from pipeline.formats import pairs as pairs_format
from pipeline.formats import splits, tables
from pipeline.formats import sweeps as sweeps_format
from pipeline.formats import tokens as tokens_format


def main(pairs: In, sweeps: In, fits: In, tokens: In, table: Out, layers: Out, summary: Out) -> None:
    """Compare the SWEEPS of all models with the labels of PAIRS; write TABLE and LAYERS (CSV) and SUMMARY (JSON).

    FITS says what train pairs each run held out, TOKENS what attention looked at.
    """
    section = settings.section(Correlate)
    pairs_table, info = pairs_format.read_pairs(pairs / "pairs.parquet"), pairs_format.read_info(pairs / "info.json")
    compared, by_layer, models = [pl.DataFrame(schema=compare.SCHEMA)], [pl.DataFrame(schema=curves.SCHEMA)], {}
    for model in progress(settings.study().models, "compare", "model"):
        swept = sweeps_format.read(sweeps / model / "scores.parquet", pairs_table, model)
        fit = fits_format.read_report(fits / model, model)
        comparison = compare.compare(swept, pairs_table, info["subsets"], section, options.folds_of(pairs_table, fit))
        looked_at = None
        if layer := compare.layer_of(comparison, compare.ATTENTION):
            weights = attention_format.read(sweeps / model / "attention.parquet", int(layer), model)
            pieces = tokens_format.read(tokens / f"{model}.parquet", model, pieces=True)
            looked_at = attention.look(weights, pieces, pairs_table, layer)
        compared.append(comparison)
        by_layer.append(curves.by_layer(swept, pairs_table, info["subsets"]))
        models[model] = {
            "left_out": swept.left_out,
            "learned": learned.learned(fit, comparison),
            "attention": looked_at,
            "loes": swept.loes,
        }
    tables.write(table, pl.concat(compared), tables.POOLINGS)
    tables.write(layers, pl.concat(by_layer), tables.CURVES)
    facts = {
        "dataset": info["dataset"],
        "control": info["control"],
        "chosen_on": splits.chosen_on(pairs_table["split"]),
        "subsets": info["subsets"],
    }
    tables.write_summary(summary, facts | {"models": models})


if __name__ == "__main__":
    cli.run(main)
