"""Every readout of some entries of one model against the plain mean, as CSV on standard output.

Run it where these entries were swept (data/ is there), first the plain one:

    python docs/results/readouts.py --models smollm2 smollm2-prompteol smollm2-echo > readouts.csv

An entry is the model with another template, readout or `keep`; its poolings and corrections are those of its sweep. Of
each combination the layer is selected on train, and rho is of the other split, with the interval over resamples of
components. `difference` is that from the plain entry's mean at its own selected layer, paired over resamples, and
`above_dice` that from word overlap. p has Holm's correction over the entries with the same pooling and correction,
`p_all` over all rows; `p_dice` is corrected like p_all.

With --by-layer it prints every layer of every combination, without intervals. `loes` is the place of a layer in the
order that LOES (arXiv 2605.23033) gives the plain mean's layers without labels, 1 the first.
"""

import argparse
import sys
from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.base.errors import InputError
from pipeline.formats import baselines, sweeps
from pipeline.formats import pairs as pair_files
from pipeline.stats.bootstrap import bootstrap, interval
from pipeline.stats.ranks import spearman, spearman_rows
from pipeline.stats.significance import difference, holm

RESAMPLES, SEED, CONFIDENCE = 10_000, 0, 0.95


@dataclass(frozen=True)
class Sample:
    """The n pairs of a split."""

    rows: np.ndarray
    labels: np.ndarray
    component: np.ndarray

    def resampled(self, scores):
        """rho of scores (K, P) in resamples -> (K, B)."""
        return bootstrap(scores[:, self.rows], self.labels, self.component, RESAMPLES, SEED, ["spearman"])["spearman"]


def sample_of(pairs, split):
    inside = (pairs["split"] == split).to_numpy()
    if not inside.any():
        raise InputError(f"there are no {split} pairs: the splits are {', '.join(pairs['split'].unique().sort())}")
    rows = np.flatnonzero(inside)
    return Sample(rows, pairs["label"].to_numpy()[rows], pairs["component"].to_numpy()[rows])


def selected(model, pairs, train):
    """Each pooling and correction of a sweep at the layer that is best on train -> keys, and scores (K, P)."""
    swept = sweeps.read(f"data/sweeps/{model}/scores.parquet", pairs, model)
    rho = spearman_rows(swept.scores[:, train.rows], train.labels)
    keys = swept.keys.with_row_index("row").with_columns(train=pl.Series(rho).fill_nan(None))
    keys = keys.filter(similarity="cosine").filter(pl.col("run").is_null(), pl.col("train").is_not_null())
    best = keys.sort("train", descending=True, maintain_order=True)
    best = best.unique(["listed", "correction"], keep="first", maintain_order=True).sort("row")
    best = best.select("encoder", "correction", "train", "row", pooling="listed", layer="option")
    scores = swept.scores[best["row"].to_numpy()]
    _, first = np.unique(scores, axis=0, return_index=True)  # of one token, all poolings are the same
    kept = np.sort(first)
    return best[kept], scores[kept]


def by_layer(models, pairs, split):
    """Every combination of the sweeps at every layer: rho on train and on a split, and the mean cosine of its pairs."""
    pairs = pairs.sort("pair_id")
    train, sample, tables = sample_of(pairs, "train"), sample_of(pairs, split), []
    for model in models:
        swept = sweeps.read(f"data/sweeps/{model}/scores.parquet", pairs, model)
        places = {str(layer): place for place, (layer, _) in enumerate(swept.loes, start=1)}
        table = swept.keys.select("encoder", "correction", "similarity", "run", pooling="listed", layer="option")
        on_split = swept.scores[:, sample.rows]
        tables.append(
            table.with_columns(
                train=pl.Series(spearman_rows(swept.scores[:, train.rows], train.labels)),
                rho=pl.Series(spearman_rows(on_split, sample.labels)),
                mean_score=pl.Series(on_split.mean(axis=1)),
                loes=pl.col("layer").replace_strict(places, default=None, return_dtype=pl.Int64),
            )
        )
    return pl.concat(tables).filter(pl.col("run").is_null(), similarity="cosine").drop("run", "similarity")


def readouts(models, pairs, split):
    """The table: a row for each entry, pooling and correction, the plain mean first."""
    pairs = pairs.sort("pair_id")
    train, sample = sample_of(pairs, "train"), sample_of(pairs, split)
    found = [selected(model, pairs, train) for model in models]
    keys, scores = pl.concat([keys for keys, _ in found]), np.concatenate([scores for _, scores in found])
    plain = keys.with_row_index("at").filter(encoder=models[0], pooling="mean", correction="none")["at"]
    if plain.is_empty():
        raise InputError(f"the sweep of {models[0]} has no mean without a correction")
    order = np.argsort(np.arange(len(keys)) != plain[0], kind="stable")
    keys, scores = keys[order], scores[order]
    dice = baselines.read_scores("data/baselines/overlap", "overlap", len(pairs))["dice"].to_numpy()
    rho = np.array([spearman(row, sample.labels) for row in scores[:, sample.rows]])
    rho_dice = spearman(dice[sample.rows], sample.labels)
    resampled, resampled_dice = sample.resampled(scores), sample.resampled(dice[None])
    low, high = interval(resampled, CONFIDENCE)
    apart = difference(rho, rho[0], resampled, resampled[:1], CONFIDENCE)
    above = difference(rho, rho_dice, resampled, resampled_dice, CONFIDENCE)
    return (
        keys.drop("row")
        .with_columns(
            rho=pl.Series(rho),
            low=pl.Series(low),
            high=pl.Series(high),
            difference=pl.Series(apart.value),
            difference_low=pl.Series(apart.low),
            difference_high=pl.Series(apart.high),
            raw=pl.Series([np.nan, *apart.p[1:]]),
            above_dice=pl.Series(above.value),
            above_dice_low=pl.Series(above.low),
            above_dice_high=pl.Series(above.high),
            p_dice=pl.Series(holm(above.p)),
        )
        .with_columns(
            p=pl.col("raw")
            .map_batches(lambda raw: pl.Series(holm(raw.to_numpy())), pl.Float64)
            .over("pooling", "correction"),
            p_all=pl.Series(holm(np.array([np.nan, *apart.p[1:]]))),
        )
        .drop("raw")
        .fill_nan(None)
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", required=True, help="entries of one model, the plain one first")
    parser.add_argument("--split", default="test")
    parser.add_argument("--by-layer", action="store_true", help="every layer instead, without intervals")
    options = parser.parse_args()
    make = by_layer if options.by_layer else readouts
    table = make(options.models, pair_files.read_pairs("data/pairs/pairs.parquet"), options.split)
    p = pl.selectors.starts_with("p") & pl.selectors.float()
    print(table.with_columns((pl.selectors.float() - p).round(4), p.round_sig_figs(2)).write_csv(), end="")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
