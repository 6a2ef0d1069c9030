"""Paired tests at every layer, of two models or of two poolings of a model, as CSV on standard output.

Run it where a pipeline has finished (data/ and results/ are there):

    python docs/results/by_layer.py --models demo demo-untrained random-rwkv6
    python docs/results/by_layer.py --models tuned-0+tuned-1+tuned-2 demo glove-6b-50d dice
    python docs/results/by_layer.py --models demo --pooling attention --against mean diagonal
    python docs/results/by_layer.py --models demo --pooling attention --against mean idf_mean dice --selected

The first compares the first model with each of the others, layer by layer, by data/scores.parquet. The second does so
with the mean rho of several models, such as one that was trained with several seeds. The third compares a pooling of
each model with others, by data/sweeps; learned poolings are means over their runs. The fourth does so at the layers
that were selected on train. An overlap measure (dice, jaccard, char4, tfidf) and word vectors have no layers; beside
overlap stands the partial rho given its scores. p has Holm's correction over the layers of a comparison.
"""

import argparse
import sys
from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.base.errors import InputError
from pipeline.formats import pairs as pair_files
from pipeline.formats import scores as score_files
from pipeline.formats import sweeps, tables
from pipeline.stats.bootstrap import bootstrap, interval
from pipeline.stats.partial import partial_from
from pipeline.stats.ranks import spearman
from pipeline.stats.significance import difference, holm

OVERLAP = ("dice", "jaccard", "char4", "tfidf")
PLAIN = {"correction": "none", "similarity": "cosine"}
RESAMPLES, SEED, CONFIDENCE = 10_000, 0, 0.95


@dataclass(frozen=True)
class Curve:
    """The scores of an encoder at its layers."""

    model: str
    pooling: str
    layers: list[int | None]
    scores: np.ndarray
    """(R, L, P): a row of pairs for each run of a learned pooling and each layer"""

    def at(self, layers):
        return Curve(self.model, self.pooling, layers, self.scores[:, [self.layers.index(layer) for layer in layers]])


@dataclass(frozen=True)
class Sample:
    """The n pairs that are resampled."""

    rows: np.ndarray
    labels: np.ndarray
    component: np.ndarray

    def rho(self, curve, given=None):
        """rho with the labels, or with other scores (P,), means over runs -> (L,), and its resamples (L, B)."""
        against = self.labels if given is None else given[self.rows]
        runs, layers, _ = curve.scores.shape
        scores = curve.scores[..., self.rows].reshape(runs * layers, -1)
        rho = np.array([spearman(row, against) for row in scores], dtype=np.float64)
        resampled = bootstrap(scores, against, self.component, RESAMPLES, SEED, ["spearman"])["spearman"]
        return rho.reshape(runs, layers).mean(axis=0), resampled.reshape(runs, layers, -1).mean(axis=0)


def of_model(names, pairs):
    """Vectors as the stages pool and score left them: of a model, of several joined by +, or of word vectors."""
    if names in OVERLAP:
        return of_pooling("overlap", names, pairs)
    found = score_files.read("data/scores.parquet", pairs)
    runs = []
    for model in names.split("+"):
        keys = found.keys.with_row_index("row").filter(encoder=model, **PLAIN).sort("layer")
        if keys.is_empty():
            raise InputError(f"data/scores.parquet has no {model} with cosine and no correction")
        runs.append(found.values[keys["row"].to_numpy()])
    return Curve(names, keys["pooling"][0], keys["layer"].to_list(), np.stack(runs))


def of_pooling(model, pooling, pairs):
    """A pooling of the sweep, or an overlap measure."""
    if pooling in OVERLAP:
        found = score_files.read("data/scores.parquet", pairs)
        keys = found.keys.with_row_index("row").filter(encoder="overlap", similarity=pooling)
        return Curve("overlap", pooling, [None], found.values[keys["row"].to_numpy()][None])
    swept = sweeps.read(f"data/sweeps/{model}/scores.parquet", pairs, model)
    keys = swept.keys.with_row_index("row").filter(listed=pooling, **PLAIN)
    keys = keys.filter(pl.col("layer").is_not_null()).sort("run", "layer")
    if keys.is_empty():
        raise InputError(f"data/sweeps/{model} has no layers of {pooling} with cosine and no correction")
    layers = keys["layer"].unique().sort().to_list()
    scores = swept.scores[keys["row"].to_numpy()].reshape(-1, len(layers), len(pairs))
    return Curve(model, pooling, layers, scores)


def selected(curve):
    """The curve at the layer that the stage compare selected on train."""
    if len(curve.layers) == 1:
        return curve
    table = tables.read("results/poolings.csv", tables.POOLINGS, "compare")
    layer = table.filter(encoder=curve.model, family="pooling", pooling=curve.pooling)["layer"][0]
    return curve.at([int(layer)])


def compare(curve, other, sample):
    """A row for each layer that both have; all layers of the first where the other has one only."""
    if len(other.layers) > 1:
        common = [layer for layer in curve.layers if layer in other.layers]
        curve, other = curve.at(common), other.at(common)
    (rho, resampled), (rho_other, resampled_other) = sample.rho(curve), sample.rho(other)
    low, high = interval(resampled, CONFIDENCE)
    apart = difference(rho, rho_other, resampled, resampled_other, CONFIDENCE)
    columns = {
        **{"model": curve.model, "pooling": curve.pooling, "layer": curve.layers},
        **{"rho": rho, "low": low, "high": high},
        "against": other.pooling if curve.model == other.model or other.model == "overlap" else other.model,
        **{"difference": apart.value, "difference_low": apart.low, "difference_high": apart.high},
        "p": holm(apart.p),
        **{"partial": None, "partial_low": None, "partial_high": None},
    }
    if other.model == "overlap":
        between, resampled_between = sample.rho(curve, given=other.scores[0, 0])
        columns["partial"] = partial_from(rho, between, rho_other)
        partial = partial_from(resampled, resampled_between, resampled_other)
        columns["partial_low"], columns["partial_high"] = interval(partial, CONFIDENCE)
    return pl.DataFrame(columns)


def sample_of(pairs, split, unshared):
    """The pairs of a split; `unshared`: without those whose component reaches into another split."""
    inside = pairs["split"] == split
    if not inside.any():
        raise InputError(f"--split is {split}, expected one of {', '.join(pairs['split'].unique(maintain_order=True))}")
    if unshared:
        inside &= ~pairs["component"].is_in(pairs["component"].filter(~inside).unique().implode())
    rows = np.flatnonzero(inside.to_numpy())
    return Sample(rows, pairs["label"].to_numpy()[rows], pairs["component"].to_numpy()[rows])


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", required=True, help="names of params.yaml")
    parser.add_argument("--pooling", help="one of the sweep; left out: compare models")
    parser.add_argument("--against", nargs="+", default=["mean"], help="poolings of the sweep, or overlap measures")
    parser.add_argument("--selected", action="store_true", help="at the layers selected on train only")
    parser.add_argument("--unshared", action="store_true", help="without pairs whose component is in another split too")
    parser.add_argument("--split", default="test")
    return parser.parse_args()


def main(options):
    pairs = pair_files.read_pairs("data/pairs/pairs.parquet")
    if options.pooling:
        names = [(model, against) for model in options.models for against in options.against]
        curves = [(of_pooling(model, options.pooling, pairs), of_pooling(model, name, pairs)) for model, name in names]
    else:
        first, *others = (of_model(model, pairs) for model in options.models)
        curves = [(first, other) for other in others]
    if options.selected:
        curves = [(selected(curve), selected(other)) for curve, other in curves]
    sample = sample_of(pairs, options.split, options.unshared)
    found = pl.concat([compare(curve, other, sample) for curve, other in curves], how="vertical_relaxed")
    decimals = pl.selectors.float().exclude("p").round(3)
    print(found.with_columns(decimals, pl.col("p").round_sig_figs(2)).write_csv(), end="")


if __name__ == "__main__":
    try:
        main(arguments())
    except InputError as error:
        sys.exit(f"error: {error}")
