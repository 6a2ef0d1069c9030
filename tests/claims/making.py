"""Studies with planted figures, which the tests of this room judge."""

import polars as pl
from scipy import stats

from pipeline.analyse import correlate, infer
from pipeline.analyse.settings import Correlate
from pipeline.claims.evidence import Relations
from pipeline.claims.study import Scored, draw
from tests.analyse.making import pairs_of, scores_of, scores_table

SECTION = Correlate(resamples=200, confidence=0.95, seed=3)


def planted(rng, pairs, signals, noise=None):
    """{(encoder, layer): signal} -> scores (C5) of signal * label + noise; noise: {(encoder, layer): its name}, so
    that scores which share it differ by their signals alone.
    """
    label = stats.zscore(pairs["label"].to_numpy())
    drawn = {}
    rows = {}
    for key, signal in signals.items():
        own = drawn.setdefault((noise or {}).get(key, key), rng.standard_normal(len(pairs)))
        encoder, layer = key
        is_overlap = encoder == "overlap"
        name = (encoder, None if is_overlap else "mean", layer, "dice" if is_overlap else "cosine")
        rows[name] = signal * label + own
    return scores_of(scores_table(pairs, rows))


def scored(rng, signals, sizes=None, related=None, noise=None, subsets=None, section=SECTION):
    """A study as the stage correlate leaves it."""
    pairs = pairs_of(rng, sizes or {"train": 60, "test": 300})
    found = planted(rng, pairs, signals, noise)
    computed = correlate.correlate(found, pairs, subsets or {}, section)
    models = list(dict.fromkeys(encoder for encoder, layer in signals if layer is not None))
    others = list(dict.fromkeys(encoder for encoder, layer in signals if layer is None))
    known = {"models": models, "baselines": others} | (related or {})
    info = {"dataset": "toy", "subsets": subsets or {}}
    return Scored(found, pairs, info, infer.infer(computed, section), Relations(**known))


def drawn(study, split="test", section=SECTION):
    """rho of a split in its resamples."""
    return draw(study, [split], section)[0]


def curve(encoder, signals):
    """{(encoder, layer): signal} of layers 0, 1, ..."""
    return {(encoder, layer): signal for layer, signal in enumerate(signals)}


def manifest(weights="w", tokens=None, adapter=None, ids="i", passed=True, seed=None, readout="plain"):
    """What the stage dump says of a model, as far as relations go."""
    of_weights = {"random": seed, "config": {}} if seed is not None else {"sha256": weights, "config": {}}
    of_weights |= {} if adapter is None else {"adapter": adapter}
    parts = {"weights": of_weights, "tokens": tokens or {"tokenizer": {"kind": "world"}, "bos": None}, "ids": ids}
    return {"parts": parts, "gate": None if passed is None else {"passed": passed}, "readout": readout}


def row_of(table, measure, **where):
    """The one row of CLAIMS of a measure."""
    [row] = table.filter(pl.col("measure") == measure, **where).rows(named=True)
    return row
