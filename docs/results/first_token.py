"""What tokens of outlying norm do to the mean, layer by layer, as CSV on standard output.

Run it where a model was dumped (data/ is there):

    python docs/results/first_token.py --models smollm2-135m smollm2-untrained --split test

`share` is the part of the first token in the squared norm of all states, the mean over sentences; `even` is 1 / tokens.
`largest` is the part of the token that holds most, and `largest_first` says in which part of the sentences that is the
first; where the dump kept statistics, it is the larger of the first and the last token.

Beside them stand rho of the mean, rho of the mean without the first token, and their paired difference over resamples
of components; p has Holm's correction over the layers of a model. With `dump.keep: tokens` the same follows of the
pooling skip_outliers, each column after its name.
"""

import argparse
import sys

import numpy as np
import polars as pl

from pipeline.formats import dumps, states, statistics
from pipeline.formats import manifest as manifests
from pipeline.formats import pairs as pair_files
from pipeline.pool.batches import of_chunks, pool_layer
from pipeline.pool.inputs import Inputs
from pipeline.pool.names import MEAN, Pooling
from pipeline.pool.norms import of_statistics, of_tokens, squared_norms
from pipeline.score.similarities import Similarity, score_pairs
from pipeline.stats.bootstrap import bootstrap, interval
from pipeline.stats.ranks import spearman
from pipeline.stats.significance import difference, holm

RESAMPLES, SEED, CONFIDENCE = 10_000, 0, 0.95
COSINE = [Similarity.parse("cosine")]
SKIP_FIRST, SKIP_OUTLIERS = Pooling.parse("skip_first"), Pooling.parse("skip_outliers")


def gathered(dump, of_batch):
    """A figure of each sentence of a dump, (S, ...), in the order of sentence_id."""
    rows = np.concatenate([of_batch(batch) for batch in dump.batches])
    ordered = np.empty_like(rows)
    ordered[dump.sentence_ids()] = rows
    return ordered


def shares_of(batch, name):
    """The first token's part of the squared norm of all states, and what `pipeline.pool.norms` measures -> (S, 6)."""
    if states.holds_tokens(batch):
        (squared,) = of_chunks(batch, name, [lambda h, ids: squared_norms(h)])
        _, starts = states.sentence_starts(batch)
        first, total = squared[starts[:-1]], np.add.reduceat(squared, starts[:-1])
        return np.column_stack([first / total, of_tokens(squared, starts)])
    first = np.square(statistics.read(batch, name, "first")).sum(axis=1)
    return np.column_stack([first / statistics.read(batch, name, "squared_norm"), of_statistics(batch, name)])


def layers_of(model, pairs, split):
    """A row for each layer of a model."""
    dump = dumps.read(f"data/states/{model}", manifests.read(f"data/manifests/{model}.json", model))
    table = pairs.filter(split=split)
    first, second = table["sentence1_id"].to_numpy(), table["sentence2_id"].to_numpy()
    labels, component = table["label"].to_numpy(), table["component"].to_numpy()
    poolings = [MEAN, SKIP_FIRST, SKIP_OUTLIERS] if dump.of_tokens else [MEAN, SKIP_FIRST]
    rows, scores = [], {pooling: [] for pooling in poolings}
    for layer, name in dump.layers.items():
        share, largest, even, is_first, *_ = gathered(dump, lambda batch, name=name: shares_of(batch, name)).mean(
            axis=0
        )
        figures = {"share": share, "even": even, "largest": largest, "largest_first": is_first}
        rows.append({"model": model, "split": split, "layer": layer} | {key: float(x) for key, x in figures.items()})
        for pooling in poolings:

            def pooled(batch, name=name, layer=layer, pooling=pooling):
                return pool_layer(batch, name, layer, [pooling], Inputs())[pooling]

            scores[pooling].append(next(iter(score_pairs(gathered(dump, pooled), first, second, COSINE))))
    columns = compare(scores, labels, component)
    return pl.DataFrame(rows).with_columns(**{name: pl.Series(values) for name, values in columns.items()})


def compare(scores, labels, component):
    """{pooling: [scores of the pairs, (P,), at each layer]}, the mean first -> columns of rho and differences."""
    rho = {pooling: np.array([spearman(row, labels) for row in listed]) for pooling, listed in scores.items()}
    resampled = {
        pooling: bootstrap(np.stack(listed), labels, component, RESAMPLES, SEED, ["spearman"])["spearman"]
        for pooling, listed in scores.items()
    }
    columns = {}
    for pooling in scores:
        low, high = interval(resampled[pooling], CONFIDENCE)
        columns |= {f"rho_{pooling}": rho[pooling], f"{pooling}_low": low, f"{pooling}_high": high}
    for pooling in list(scores)[1:]:
        apart = difference(rho[pooling], rho[MEAN], resampled[pooling], resampled[MEAN], CONFIDENCE)
        figures = {"difference": apart.value, "difference_low": apart.low, "difference_high": apart.high}
        prefix = "" if pooling == SKIP_FIRST else f"{pooling}_"
        columns |= {f"{prefix}{name}": values for name, values in (figures | {"p": holm(apart.p)}).items()}
    return columns


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", required=True)
    parser.add_argument("--split", default="test")
    given = parser.parse_args()
    pairs = pair_files.read_pairs("data/pairs/pairs.parquet")
    tables = [layers_of(model, pairs, given.split) for model in given.models]
    sys.stdout.write(pl.concat(tables, how="diagonal").with_columns(pl.selectors.float().round_sig_figs(4)).write_csv())


if __name__ == "__main__":
    main()
