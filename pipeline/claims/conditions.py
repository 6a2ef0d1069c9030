"""The same weights in two conditions: layer by layer, how rho differs."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from pipeline.claims.curves import Curves
from pipeline.formats.claims import CONDITIONS
from pipeline.formats.tables import schema_of
from pipeline.stats.bands import simultaneous
from pipeline.stats.significance import holm


def conditions(found: Sequence[Curves], pairs: Sequence[tuple[str, str, str]]) -> pl.DataFrame:
    """Splits and (model, the one it is compared with, condition) -> CONDITIONS, a row for each layer that both have."""
    schema = schema_of(CONDITIONS)
    tables = [of_pair(curves, *pair) for pair in pairs for curves in found]
    return pl.concat([pl.DataFrame(schema=schema), *tables]).with_columns(pl.selectors.float().fill_nan(None))


def of_pair(found: Curves, model: str, against: str, condition: str) -> pl.DataFrame:
    """One of them on one split."""
    layers = [layer for layer in found.layers(model) if found.has(against, layer)]
    first, second = found.at(model, layers), found.at(against, layers)
    apart, resampled = found.apart(first, second), found.resampled[first] - found.resampled[second]
    low, high = simultaneous(apart.value, resampled, found.confidence) if layers else np.zeros((2, 0))
    columns = {
        "condition": [condition] * len(layers),
        "model": [model] * len(layers),
        "against": [against] * len(layers),
        "split": [found.split] * len(layers),
        "layer": layers,
        "n": [found.n] * len(layers),
        "spearman": found.rho[first],
        "against_spearman": found.rho[second],
        "difference": apart.value,
        "difference_low": low,
        "difference_high": high,
        "p": holm(apart.p),
        "detectable": found.detectable(first, second),
    }
    return pl.DataFrame(columns, schema=schema_of(CONDITIONS))
