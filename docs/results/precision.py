"""What fewer bytes for each number of the pooled vectors do to rho, layer by layer, as CSV on standard output.

Run it where models were pooled with `pool.store: float32` (data/ is there), then draw what came out:

    python docs/results/precision.py --models demo > precision.csv
    python docs/results/precision.py --picture docs/results/precision.png docs/results/precision.csv

`change` is rho of cosines of the rounded vectors minus that of float32, on one split, after a correction; low and high
are the interval of rho in float32. `int8` is what `pool.store` writes; `int8 by vector` has one scale for each vector
of a layer in place of one for each dimension. `outlying` is the largest magnitude of a vector's numbers over their
median, the median over sentences. Rounding draws nothing at random, so changes have no interval of their own.
"""

import argparse
import sys

import matplotlib.pyplot as plt
import numpy as np
import polars as pl

from pipeline.formats import pairs as pair_files
from pipeline.formats import splits, vectors
from pipeline.formats.precision import Precision, scales_of
from pipeline.pool.names import Correction
from pipeline.score.combinations import score_vectors
from pipeline.score.similarities import Similarity
from pipeline.stats.bootstrap import bootstrap, interval
from pipeline.stats.ranks import spearman

RESAMPLES, SEED, CONFIDENCE = 2000, 0, 0.95
CORRECTIONS = [Correction.parse(name) for name in ("none", "all_but_the_top_1", "whitening_64")]
COSINE = [Similarity.parse("cosine")]
COLOURS = {"float16": "#009e73", "int8": "#0072b2", "int8 by vector": "#d55e00"}
SMALLEST = 1e-6
"""changes below are drawn there"""


def rounded(precision, rows):
    """Vectors (S, D) as they come back from a file."""
    precision.check(rows, 0, 0)
    return precision.restored(precision.reduced(rows, 0), 0)


def by_vector(rows):
    """The same with one scale for each vector, the largest magnitude of its numbers / 127."""
    return rounded(Precision("int8", {0: scales_of(np.abs(rows).max(axis=1))}), rows.T.copy()).T if len(rows) else rows


ROUNDED = {
    "float16": lambda rows: rounded(Precision("float16"), rows),
    "int8": lambda rows: rounded(Precision("int8", {0: scales_of(np.abs(rows).max(axis=0))}), rows),
    "int8 by vector": by_vector,
}


def layers_of(model, pairs, split):
    """A row for each layer, correction and type."""
    file, train = vectors.read(f"data/pooled/{model}/vectors.parquet", f"pool@{model}"), splits.train_sentences(pairs)
    assert file.precision.store == "float32", "these vectors are rounded already"
    here = (pairs["split"] == split).to_numpy()
    labels, component = pairs["label"].to_numpy()[here], pairs["component"].to_numpy()[here]
    for layer in file.layers:
        exact = file.layer(layer)
        magnitudes = np.abs(exact)
        outlying = float(np.median(magnitudes.max(axis=1) / np.median(magnitudes, axis=1)))
        scored = scores_of(exact, pairs, train, here)
        resampled = bootstrap(np.stack(list(scored.values())), labels, component, RESAMPLES, SEED, ["spearman"])
        bounds = dict(zip(scored, zip(*interval(resampled["spearman"], CONFIDENCE))))
        for store, function in ROUNDED.items():
            for correction, scores in scores_of(function(exact), pairs, train, here).items():
                rho = spearman(scored[correction], labels)
                key = {"model": model, "split": split, "layer": layer, "correction": correction, "store": store}
                low, high = bounds[correction]
                yield key | {
                    "rho": rho,
                    "low": low,
                    "high": high,
                    "change": spearman(scores, labels) - rho,
                    "outlying": outlying,
                }


def scores_of(rows, pairs, train, here):
    """{correction: cosines of the pairs of a split}."""
    scored = score_vectors(rows, pairs, train, CORRECTIONS, COSINE)
    return {str(correction): scores[here] for correction, _, scores in scored.scores}


def draw(table, path):
    """A panel for each model and correction: the size of the changes, layer by layer, below half of the interval."""
    models, corrections = (table[name].unique(maintain_order=True) for name in ("model", "correction"))
    size = {"figsize": (9.6, 1.2 + 2.2 * len(models)), "sharey": True, "sharex": "row", "squeeze": False}
    figure, panels = plt.subplots(len(models), len(corrections), **size)
    for row, model in zip(panels, models):
        for axes, correction in zip(row, corrections):
            of_panel = table.filter(model=model, correction=correction)
            for store, colour in COLOURS.items():
                of_store = of_panel.filter(store=store)
                axes.plot(of_store["layer"], of_store["change"].abs().clip(SMALLEST), color=colour, linewidth=1.6)
            half = of_store.select((pl.col("high") - pl.col("low")) / 2).to_series()
            axes.fill_between(of_store["layer"], half, 1, color="#bbbbbb", linewidth=0, alpha=0.6)
            axes.set_title(f"{model}, {correction}", fontsize=10, loc="left")
            axes.set_yscale("log")
            axes.set_ylim(SMALLEST, 1)
            axes.margins(x=0)
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(alpha=0.2)
        row[0].set_ylabel("size of the change of rho")
    for axes in panels[-1]:
        axes.set_xlabel("layer")
    handles = [plt.Line2D([], [], color=colour, linewidth=2, label=store) for store, colour in COLOURS.items()]
    handles.append(
        plt.Rectangle((0, 0), 1, 1, color="#bbbbbb", alpha=0.6, label="half of the interval of rho and more")
    )
    figure.legend(handles=handles, loc="upper left", ncols=4, frameon=False)
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.35 / figure.get_figheight()))
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", help="names of params.yaml")
    parser.add_argument("--split", default="test")
    parser.add_argument("--picture", nargs=2, metavar=("PNG", "CSV"), help="draw what this program printed earlier")
    given = parser.parse_args()
    if given.picture:
        draw(pl.read_csv(given.picture[1]), given.picture[0])
        return
    pairs = pair_files.read_pairs("data/pairs/pairs.parquet")
    rows = [row for model in given.models for row in layers_of(model, pairs, given.split)]
    sys.stdout.write(pl.DataFrame(rows).with_columns(pl.selectors.float().round_sig_figs(4)).write_csv())


if __name__ == "__main__":
    main()
