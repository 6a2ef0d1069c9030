"""What the first token does to the mean, layer by layer, as CSV on standard output.

Run it where a model was dumped with `dump.keep: pooled` (data/ is there):

    python docs/results/first_token.py --models smollm2-135m smollm2-untrained --split test

`share` is the part of the first token in the squared norm of all states, the mean over sentences; `even` is 1 / tokens.
Beside it stand rho of the mean, rho of the mean without the first token, and their paired difference over resamples of
components; p has Holm's correction over the layers of a model.
"""

import argparse
import sys

import numpy as np
import polars as pl

from pipeline.formats import dumps, statistics
from pipeline.formats import manifest as manifests
from pipeline.formats import pairs as pair_files
from pipeline.formats.arrays import to_numpy
from pipeline.pool.names import Pooling
from pipeline.pool.statistics import pool_statistics
from pipeline.score.similarities import Similarity, score_pairs
from pipeline.stats.bootstrap import bootstrap, interval
from pipeline.stats.ranks import spearman
from pipeline.stats.significance import difference, holm

RESAMPLES, SEED, CONFIDENCE = 10_000, 0, 0.95
COSINE = [Similarity.parse("cosine")]


def gathered(dump, of_batch):
    """A figure of each sentence of a dump, (S, ...), in the order of sentence_id."""
    rows = np.concatenate([of_batch(batch) for batch in dump.batches])
    ordered = np.empty_like(rows)
    ordered[dump.sentence_ids()] = rows
    return ordered


def share_of(batch, name):
    """The first token's part of the squared norm of all states of a sentence, and 1 / tokens -> (S, 2)."""
    first = np.square(statistics.read(batch, name, "first")).sum(axis=1)
    even = 1 / to_numpy(batch["tokens"]).astype(np.float32)
    return np.stack([first / statistics.read(batch, name, "squared_norm"), even], axis=1)


def layers_of(model, pairs, split):
    """A row for each layer of a model."""
    dump = dumps.read(f"data/states/{model}", manifests.read(f"data/manifests/{model}.json", model))
    table = pairs.filter(split=split)
    first, second = table["sentence1_id"].to_numpy(), table["sentence2_id"].to_numpy()
    labels, component = table["label"].to_numpy(), table["component"].to_numpy()
    rows, scores = [], {"mean": [], "skip_first": []}
    for layer, name in dump.layers.items():
        share, even = gathered(dump, lambda batch, name=name: share_of(batch, name)).mean(axis=0)
        rows.append({"model": model, "split": split, "layer": layer, "share": float(share), "even": float(even)})
        for pooling, listed in scores.items():
            named = Pooling.parse(pooling)
            vectors = gathered(dump, lambda batch, name=name, named=named: pool_statistics(batch, name, named))
            listed.append(next(iter(score_pairs(vectors, first, second, COSINE))))
    rho = {pooling: np.array([spearman(row, labels) for row in listed]) for pooling, listed in scores.items()}
    resampled = {
        pooling: bootstrap(np.stack(listed), labels, component, RESAMPLES, SEED, ["spearman"])["spearman"]
        for pooling, listed in scores.items()
    }
    columns = {}
    for pooling in scores:
        low, high = interval(resampled[pooling], CONFIDENCE)
        columns |= {f"rho_{pooling}": rho[pooling], f"{pooling}_low": low, f"{pooling}_high": high}
    apart = difference(rho["skip_first"], rho["mean"], resampled["skip_first"], resampled["mean"], CONFIDENCE)
    columns |= {"difference": apart.value, "difference_low": apart.low, "difference_high": apart.high}
    columns |= {"p": holm(apart.p)}
    return pl.DataFrame(rows).with_columns(**{name: pl.Series(values) for name, values in columns.items()})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", required=True)
    parser.add_argument("--split", default="test")
    given = parser.parse_args()
    pairs = pair_files.read_pairs("data/pairs/pairs.parquet")
    tables = [layers_of(model, pairs, given.split) for model in given.models]
    sys.stdout.write(pl.concat(tables).with_columns(pl.selectors.float().round_sig_figs(4)).write_csv())


if __name__ == "__main__":
    main()
