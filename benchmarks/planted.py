"""Does learned attention find what it should, and only where there is something to find? Token states with a planted signal.

    python -m benchmarks.planted        # a few minutes; writes docs/planted-signal.png and prints its figures

Of the n tokens of a sentence, m carry a signal; the two sentences of a pair share it where the label is 1. Every token that carries it is
marked by a common direction u, the others are noise: mechanism C7 of arXiv 2502.14620. Where m = n there is nothing for attention to choose.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import torch

from pipeline import correlation, inference, learning, pooling, scoring, scratch, shards

DIM, MARK = 32, 2.0  # width, length of the mark along u, both beside noise of size 1
SIZES = {"train": 1500, "test": 1000}  # pairs
SETTINGS = learning.Fit(["attention", "diagonal"], runs=3, epochs=15, patience=15, batch_pairs=32, learning_rate=0.05, scale=20, seed=0, shuffle_labels=False)


def draw(rng, n, m, signal, sizes=SIZES):
    """Pairs of sentences of n tokens, m of which carry a signal of some size -> ({sentence_id: (n, DIM) float16}, pairs of C2, u (DIM,))."""
    u = rng.standard_normal(DIM)
    u /= np.linalg.norm(u)
    states, rows = {}, []
    for split, count in sizes.items():
        for _ in range(count):
            label, shared, ids = rng.integers(2), rng.standard_normal(DIM), []
            for _ in range(2):
                own = shared if label else rng.standard_normal(DIM)
                h = rng.standard_normal((n, DIM))
                at = rng.permutation(n)[:m]
                h[at] += signal * own + MARK * u
                ids.append(len(states))
                states[ids[-1]] = h.astype(np.float16)
            rows.append([len(rows), split, *ids, float(label), len(rows)])
    columns = ["pair_id", "split", "sentence1_id", "sentence2_id", "label", "component"]
    return states, pl.DataFrame(rows, schema=columns, orient="row"), u


def write(folder, states):
    """Token states of one layer as a folder of one shard (C3)."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    schema = shards.schema([0], DIM, "float16")
    shard = scratch.Shard(folder / "shard-00000.arrow", schema)
    ids = list(states)
    for start in range(0, len(ids), 100):
        some = ids[start : start + 100]
        lengths = [len(states[i]) for i in some]
        positions = np.concatenate([np.arange(n, dtype=np.int32) for n in lengths])
        shard.writer.write_batch(shards.record_batch([np.repeat(np.array(some), lengths), positions, np.concatenate([states[i] for i in some])], schema))
    shard.finish()


def study(states, pairs, settings=SETTINGS, log=lambda line: None):
    """Fit on train -> (queries (runs, D), {"mean", "attention", "diagonal": scores of the test pairs, one row a run}, labels, components)."""
    with tempfile.TemporaryDirectory() as folder:
        write(folder, states)
        parameters, _, _ = learning.fit(folder, pairs, settings, log=log)
    test = pairs.filter(split="test")
    encoders = {"mean": [pooling.mean]}
    for name, function in pooling.LEARNED.items():
        encoders[name] = [lambda h, one=one, function=function: function(h, one[0]) for one in parameters[name]]
    found = {}
    for name, runs in encoders.items():
        vectors = [np.stack([run(states[i].astype(np.float64)) for i in range(len(states))]) for run in runs]
        found[name] = np.stack([scoring.score_pairs(v, test["sentence1_id"].to_numpy(), test["sentence2_id"].to_numpy(), "cosine") for v in vectors])
    return parameters["attention"][:, 0], found, test["label"].to_numpy(), test["component"].to_numpy()


def gain(scores, against, labels, component, resamples=2000, confidence=0.95):
    """Mean rho over the runs of one pooling less that of another -> (difference, low, high)."""
    both = np.concatenate([scores, against])
    rho = np.array([correlation.spearman(one, labels) for one in both])
    resampled = correlation.bootstrap(both, labels, component, resamples, 0)["spearman"]
    sides = [slice(len(scores)), slice(len(scores), None)]
    (a, b), (ra, rb) = ([x[side].mean(axis=0, keepdims=True) for side in sides] for x in (rho, resampled))
    apart, low, high, _ = inference.difference(a, b, ra, rb, confidence)
    return float(apart[0]), float(low[0]), float(high[0])


def permuted(draws=100):
    """How often the guard lets through what was learned from permuted labels of 400 train pairs -> {pooling: count}."""
    counts = dict.fromkeys(SETTINGS.poolings, 0)
    for draw_number in range(draws):
        states, pairs, _ = draw(np.random.default_rng(draw_number), 24, 3, 1.0, {"train": 400, "test": 2})
        with tempfile.TemporaryDirectory() as folder:
            write(folder, states)
            about = learning.fit(folder, pairs, replace(SETTINGS, shuffle_labels=True), log=lambda line: None)[2]
        for name in counts:
            counts[name] += about["poolings"][name]["kept"][0]
    return counts


def figure(rows, path):
    """Two panels, m = 4 of n and m = n: rho of each pooling over n, with the interval of attention's gain as a bar between the curves."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    looks = {  # lines that coincide can all be seen
        "mean": {"color": "0.15", "linewidth": 3.2, "alpha": 0.75},
        "attention": {"color": "tab:red"},
        "diagonal": {"color": "tab:orange", "linestyle": (0, (2, 2)), "zorder": 3},
    }
    with plt.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25, "grid.linewidth": 0.6}):
        figure, axes = plt.subplots(2, 2, figsize=(8.4, 5.2), layout="constrained", sharex="col", sharey="row", height_ratios=[1.5, 1])
        for (top, bottom), title in zip(axes.T, ("4 of n tokens carry the signal", "all n tokens carry it")):
            here = [row for row in rows if row["title"] == title]
            n = [row["n"] for row in here]
            for name, look in looks.items():
                top.plot(n, [row[name] for row in here], marker="o", markersize=4, label=name, **look)
            top.set_title(title, loc="left", fontweight="bold")
            low, high, middle = ([row[key] for row in here] for key in ("low", "high", "gain"))
            bottom.fill_between(n, low, high, color="tab:red", alpha=0.15, linewidth=0)
            bottom.plot(n, middle, color="tab:red", marker="o", markersize=4)
            bottom.axhline(0, color="0.3", linewidth=0.8)
            bottom.set_xscale("log", base=2)
            bottom.set_xticks(n, n)
            bottom.minorticks_off()
            bottom.set_xlabel("n, tokens of a sentence")
        axes[0][0].set_ylabel("rho on test pairs")
        axes[1][0].set_ylabel("attention less mean,\n95 % interval")
        axes[0][0].legend(frameon=False)
        figure.savefig(path, dpi=160, format="png")
        plt.close(figure)


def main():
    torch.set_num_threads(1)
    rows = []
    conditions = {  # title -> m of n, and the size of the signal: where all carry it, so small that their mean does not say all
        "4 of n tokens carry the signal": lambda n: (4, 0.5),
        "all n tokens carry it": lambda n: (n, 0.65 / n**0.5),
    }
    for title, of in conditions.items():
        for n in (4, 8, 16, 32, 64):
            m, signal = of(n)
            states, pairs, u = draw(np.random.default_rng([n, m]), n, m, signal)
            queries, found, labels, component = study(states, pairs)
            apart, low, high = gain(found["attention"], found["mean"], labels, component)
            means = {name: float(np.mean([correlation.spearman(one, labels) for one in scores])) for name, scores in found.items()}
            along = float(np.mean(queries @ u / np.maximum(np.linalg.norm(queries, axis=1), 1e-12)))
            rows.append({"title": title, "n": n, **means, "gain": apart, "low": low, "high": high})
            print(f"| {m} of {n} | " + " | ".join(f"{means[k]:.3f}" for k in means) + f" | {apart:+.3f} [{low:+.3f}, {high:+.3f}] | {along:.2f} |", flush=True)
    figure(rows, Path(__file__).parents[1] / "docs/planted-signal.png")
    print("kept after 100 fits to permuted labels:", ", ".join(f"{name} {count}" for name, count in permuted().items()))


if __name__ == "__main__":
    main()
