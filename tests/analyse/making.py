"""Pairs, scores and sweeps with drawn figures, which the tests of this room analyse."""

import re

import numpy as np
import polars as pl
from scipy import stats

from pipeline.analyse.settings import Correlate
from pipeline.formats.scores import KEYS, Scores
from pipeline.formats.sweeps import Swept
from tests.helpers import pairs_table

SETTINGS = Correlate(resamples=100, confidence=0.9, seed=3)
MEAN = ("mean", "none", "cosine")


def pairs_of(rng, sizes, graded=False, sharing=2):
    """{split: pairs} -> pairs (C2) with random labels, of which about `sharing` form a component."""
    n = sum(sizes.values())
    labels = rng.integers(0, 11, n) / 2 if graded else rng.permutation(np.arange(n) % 2).astype(float)
    component = [1000 * i + rng.integers(0, max(1, size // sharing), size) for i, size in enumerate(sizes.values())]
    return pairs_table(labels, np.repeat(list(sizes), list(sizes.values())), component=np.concatenate(component))


def signals_and_noise(rng, pairs, signals):
    """One row of scores for each signal: signal * label + noise."""
    noise = rng.standard_normal((len(signals), len(pairs)))
    return np.array(signals)[:, None] * stats.zscore(pairs["label"].to_numpy()) + noise


def curve(pooling, layers=(0, 1), correction="none", similarity="cosine"):
    """Rows of a sweep: pooling, correction, layer, similarity."""
    return [(pooling, correction, layer, similarity) for layer in layers]


ATTENTION = [(f"attention_{run}", "none", layer, "cosine") for run in (0, 1) for layer in (0, 1)]
DIAGONAL = [(f"diagonal_{run}", "none", layer, "cosine") for run in (0, 1) for layer in (0, 1)]
LEARNED = ATTENTION + DIAGONAL
ROWS = [
    *curve("mean"),
    *curve("mean", correction="centre"),
    *curve("mean", similarity="dot"),
    *curve("max"),
    *curve("max", correction="centre"),  # in no family but that of all
    *LEARNED,
    ("first_last", "none", None, "cosine"),
    *((f"scalar_mix_{run}", "none", None, "cosine") for run in (0, 1)),
    *((f"layers_{i}_{j}", "none", None, "cosine") for i, j in ((0, 1), (0, 2), (1, 2))),
]


def names_of(pooling, layer):
    """The columns listed, run and option of a row, which the stage sweep knows and these tests read from its name."""
    if match := re.fullmatch(r"layers_(\d+)_(\d+)", pooling):
        return "pairs_of_layers", None, "+".join(match.groups())
    option = None if layer is None else str(layer)
    if match := re.fullmatch(r"(attention|diagonal|scalar_mix)_(\d+)", pooling):
        return match[1], int(match[2]), option
    return pooling, None, option


def keys_of(rows, encoder="m"):
    """Rows of a sweep -> the keys that `formats.sweeps.read` gives."""
    columns = {"pooling": pl.String, "correction": pl.String, "layer": pl.Int32, "similarity": pl.String}
    names = {"listed": pl.String, "run": pl.Int32, "option": pl.String}
    listed = pl.DataFrame([names_of(row[0], row[2]) for row in rows], schema=names, orient="row")
    keys = pl.concat([pl.DataFrame(rows, schema=columns, orient="row"), listed], how="horizontal")
    return keys.insert_column(0, pl.Series("encoder", [encoder] * len(rows), pl.String))


def swept(rows, scores, left_out=None, loes=()):
    """Rows of a sweep and their scores -> what `formats.sweeps.read` gives."""
    return Swept(keys_of(rows), scores, left_out or {}, list(loes))


def rho(scores, labels):
    """Spearman's rho by its definition, with a table of who is above whom; NaN where it is undefined."""
    x, y = (np.sign(values[:, None] - values).sum(axis=1) for values in (scores, labels))  # twice the centred midranks
    spread = (x @ x) * (y @ y)
    return x @ y / np.sqrt(spread) if spread else np.nan


def scores_table(pairs, rows):
    """{(encoder, pooling, layer, similarity): scores (P,)} -> the table of C5."""
    return pl.concat(
        pairs.select("pair_id", "split", "label").with_columns(
            pl.lit(encoder).alias("encoder"),
            pl.lit(pooling, pl.String).alias("pooling"),
            pl.lit(pooling and "none", pl.String).alias("correction"),
            pl.lit(layer, pl.Int32).alias("layer"),
            pl.lit(similarity).alias("similarity"),
            pl.Series("score", scores),
        )
        for (encoder, pooling, layer, similarity), scores in rows.items()
    )


def scores_of(table):
    """The table of C5, in any order -> what `formats.scores.read` gives, by sorting all of its rows."""
    ordered = table.sort([*KEYS, "pair_id"], nulls_last=True)
    keys = ordered.select(KEYS).unique(maintain_order=True)
    return Scores(keys, ordered["score"].to_numpy().reshape(len(keys), -1))
