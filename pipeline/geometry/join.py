"""Geometry beside rho: one table, and how each measure goes with rho over the layers of a model."""

import polars as pl

from pipeline.formats import geometry
from pipeline.formats.tables import schema_of
from pipeline.stats.ranks import spearman

FEWEST_LAYERS = 4
"""below which a rank correlation over layers is not computed"""
RHO = {"rho": "spearman", "rho_low": "spearman_low", "rho_high": "spearman_high"}


def join(measured: pl.DataFrame, correlations: pl.DataFrame, split: str) -> pl.DataFrame:
    """MEASURED and CORRELATIONS (formats.tables) -> JOINED: each row with rho of its layer on the split.

    rho is that of the cosines of uncorrected vectors; null where params.yaml scores no such vectors.
    """
    plain = correlations.filter(pl.col("layer").is_not_null(), split=split, correction="none", similarity="cosine")
    rho = plain.select("encoder", "layer", "split", **RHO)
    joined = measured.join(rho.drop("split"), on=["encoder", "layer"], how="left", maintain_order="left")
    return joined.with_columns(pl.lit(split).alias("split")).select(list(geometry.JOINED))


def curves(joined: pl.DataFrame) -> pl.DataFrame:
    """What is drawn over depth: measures of one layer, and those of two against the model's first layer."""
    first = pl.col("layer").min().over("encoder")
    first = pl.col("other").min().over("encoder").fill_null(first)
    return joined.filter(pl.col("other").is_null() | (pl.col("other") == first))


def with_rho(joined: pl.DataFrame) -> pl.DataFrame:
    """JOINED -> WITH_RHO (formats.geometry): how each measure goes with rho over the layers of a model.

    There is no p-value: neighbouring layers are not independent, and a curve that rises with depth goes with any other
    that does. Hence the columns that say how both go with depth.
    """
    found = []
    both = curves(joined).filter(pl.col("value").is_not_null(), pl.col("rho").is_not_null())
    for (encoder, measure), rows in both.group_by("encoder", "measure", maintain_order=True):
        value, rho, layer = (rows[name].to_numpy() for name in ("value", "rho", "layer"))
        pairs = {"correlation": (value, rho), "with_depth": (value, layer), "rho_with_depth": (rho, layer)}
        enough = len(rows) >= FEWEST_LAYERS
        correlations = {name: spearman(*both) if enough else None for name, both in pairs.items()}
        found.append({"encoder": encoder, "measure": measure, "layers": len(rows)} | correlations)
    return pl.DataFrame(found, schema=schema_of(geometry.WITH_RHO))
