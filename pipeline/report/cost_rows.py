"""The rows of cost.md and cost.png: what an encoder costs beside how well it orders the pairs of a split."""

import numpy as np
import polars as pl

from pipeline.formats.names import encoder_name
from pipeline.report.rows import without_nan
from pipeline.stats.front import pareto

KEYS = ["encoder", "layer", "similarity"]
OF_RHO = [*KEYS, "name", "pooling", "selected", "spearman", "spearman_low", "spearman_high"]


def rows(costs: pl.DataFrame, correlations: pl.DataFrame, split: str) -> pl.DataFrame:
    """EFFICIENCY and CORRELATIONS of a split -> a row for each encoder and layer that both have.

    Its `ms` is of single pairs, `best_ms` of the batch size `best_size`, `front` says whether it is on the Pareto front
    of rho and `ms`. Only vectors that were not corrected are taken: a correction costs something else.
    """
    costs = costs.filter(pl.col("error").is_null()).drop("name")
    best = costs.sort("batch_size").unique(KEYS, keep="last", maintain_order=True)
    best = best.select(*KEYS, best_ms="ms", best_encoding_ms="encoding_ms", best_size="batch_size")
    plain = without_nan(correlations).filter(pl.col("correction").fill_null("none") == "none", split=split)
    rho = plain.select(OF_RHO).filter(pl.col("spearman").is_not_null())
    table = costs.filter(batch_size=1).join(best, on=KEYS, nulls_equal=True, maintain_order="left")
    table = table.join(rho, on=KEYS, nulls_equal=True, maintain_order="left", how="inner")
    front = pareto(table["ms"].to_numpy(), table["spearman"].to_numpy()) if len(table) else np.zeros(0, dtype=bool)
    return table.with_columns(front=pl.Series(front, dtype=pl.Boolean))


def with_layer(row: dict) -> str:
    """What a row is called: `demo, layer 3`."""
    return row["name"] if row["layer"] is None else f"{row['name']}, layer {row['layer']}"


def without_rho(costs: pl.DataFrame, table: pl.DataFrame) -> list[str]:
    """The names of encoders that were measured, and of which no correlation is known."""
    measured = costs.filter(pl.col("error").is_null())
    missing = measured.join(table, on=["encoder", "similarity"], how="anti", nulls_equal=True)
    keys = missing.select("encoder", "similarity", "kind").unique(maintain_order=True)
    return [
        encoder_name(encoder, None if kind == "overlap" else "mean", None, similarity)
        for encoder, similarity, kind in keys.iter_rows()
    ]
