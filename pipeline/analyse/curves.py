"""Spearman's rho of every pooling by layer."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from pipeline.analyse.groups import groups_of
from pipeline.analyse.options import options_of, reference_of
from pipeline.formats.sweeps import Swept
from pipeline.formats.tables import CURVES, schema_of
from pipeline.stats.ranks import spearman_rows

SCHEMA = schema_of(CURVES)


def by_layer(swept: Swept, pairs: pl.DataFrame, subsets: Mapping[str, Sequence]) -> pl.DataFrame:
    """rho of the poolings of a sweep at every layer, with the reference's correction and similarity: a table of CURVES.

    Of a learned pooling the mean, the least and the most over its runs. Pairs of layers are no layers.
    """
    options = options_of(swept.keys)
    if not options:
        return pl.DataFrame(schema=SCHEMA)
    reference = reference_of(options)
    shown = [option for option in options if option.variant[1:] == reference[1:] and "+" not in option.name]
    runs = np.array([row for option in shown for row in option.rows], dtype=np.intp)
    ends = np.cumsum([len(option.rows) for option in shown])[:-1]
    rows = []
    for group in groups_of(pairs, subsets).values():
        rho_of = np.split(spearman_rows(swept.scores[np.ix_(runs, group.rows)], group.labels), ends)
        for option, rho in zip(shown, rho_of):
            layer = int(option.name) if option.name else None
            names = [swept.keys["encoder"][0], option.variant.pooling, layer, group.name]
            rows.append([*names, rho.mean(), rho.min(), rho.max()])
    return pl.DataFrame(rows, schema=SCHEMA, orient="row").with_columns(pl.selectors.float().fill_nan(None))
