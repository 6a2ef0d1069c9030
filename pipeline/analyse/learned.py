"""What was learned, at the layer that was chosen."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from pipeline.analyse.compare import layer_of


def learned(fit: Mapping[str, Any], table: pl.DataFrame) -> dict[str, Any]:
    """The dictionary of fit.json and the table of `compare` -> the key `learned` of formats.tables.SUMMARY.

    For each learned pooling of the sweep: rho of train pairs, each scored by the run that had held it out, at the start
    (the mean) and at the best epoch, and whether that was kept.
    """
    if "nothing" in fit:
        return {"nothing": fit["nothing"]}
    poolings = []
    for pooling, by_layer in fit["poolings"].items():
        layer = layer_of(table, pooling)
        if layer is None:
            continue
        place = fit["layers"].index(int(layer)) if layer else 0
        figures = {key: by_layer[key][place] for key in ("rho_at_start", "rho_held_out", "epoch", "kept")}
        poolings.append({"pooling": pooling, "layer": layer, **figures})
    settings = fit["settings"]
    return {
        "pairs": fit["pairs"],
        "shuffled": settings["shuffle_labels"],
        "runs": settings["runs"],
        "poolings": poolings,
    }
