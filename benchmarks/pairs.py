"""What pairs cost beyond memory: peak RSS and time a pair of prepare, baseline, score and correlate.

    python -m benchmarks.pairs                            # 10,000, 100,000 and 1,000,000 pairs
    python -m benchmarks.pairs --pairs 10000 --resamples 1000
    python -m benchmarks.pairs --root ../older            # of another checkout, measured in the same way

Random pairs as TSV, 1.5 distinct sentences for each, and random vectors of a model that never ran, in the file that
`pool` would write. Each stage is a process of its own with one thread. Peak RSS is the kernel's VmHWM, what is mapped
from files included; time is CPU time, since the machine may be busy. Correlate runs twice, the second time with more
resamples: what that takes longer, over resamples x combinations x pairs, is a step of the bootstrap. The results are
JSON on standard output.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import polars as pl
import yaml

from benchmarks.common import ROOT, workspace
from benchmarks.memory import commands, cost_of, write_pairs
from pipeline.formats import unembeddings, vectors

SIZES = (10_000, 100_000, 1_000_000)
STAGES = ("prepare", "baseline@overlap", "score", "correlate")
MORE = 5
"""times as many resamples in the second run of correlate"""
MODEL = "tiny"
SENTENCES_AT_ONCE = 1024
"""of a row group, as in `pool`"""
CATALOG = {
    "datasets": {"random": {"path": "pairs.tsv"}},
    "models": {MODEL: {"random": 0, "config": {"model_type": "rwkv6", "vocab_size": 65536}, "tokenizer": "world"}},
    "baselines": {"overlap": {"kind": "overlap"}},
}


def write_study(folder, count, resamples):
    """Pairs and settings in a folder -> the settings of params.yaml."""
    (folder / "catalog.yaml").write_text(yaml.safe_dump(CATALOG))
    write_pairs(folder / "pairs.tsv", count)
    return write_params(folder, resamples)


def write_params(folder, resamples):
    """The settings of params.yaml in a folder, and as a dictionary."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params |= {"dataset": "random", "models": [MODEL], "baselines": ["overlap"]}
    params["score"] |= {"similarities": ["cosine", "neg_euclidean"], "corrections": ["none", "whitening_32"]}
    params["correlate"] |= {"resamples": resamples}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    return params


def write_vectors(folder, layers, dim):
    """Random vectors of the sentences of a folder's pairs, and a model without an unembedding."""
    count = json.loads((folder / "data/pairs/info.json").read_text())["sentences"]
    rng = np.random.default_rng(0)

    def table(start):
        rows = min(SENTENCES_AT_ONCE, count - start)
        drawn = {layer: rng.standard_normal((rows, dim), dtype=np.float32) for layer in range(layers)}
        return vectors.table(drawn, start)

    path = folder / f"data/pooled/{MODEL}/vectors.parquet"
    path.parent.mkdir(parents=True)
    info = vectors.Info(MODEL, "mean", layers=True)
    with vectors.writer(path, table(0).schema, info) as sink:
        for start in range(0, count, SENTENCES_AT_ONCE):
            sink.write_table(table(start))
    unembeddings.write(folder / f"data/unembeddings/{MODEL}.safetensors", "it never ran", MODEL)


def measured(root, count, resamples, layers, dim):
    """What each stage takes with so many pairs, as rows."""
    rows = []
    with workspace() as name:
        folder = Path(name)
        words = commands(root, write_study(folder, count, resamples))
        for stage in (*STAGES, STAGES[-1]):
            if stage == "score":
                write_vectors(folder, layers, dim)
            if rows and stage == rows[-1]["stage"]:
                write_params(folder, MORE * resamples)
            cost = cost_of(words[stage], folder, root)
            rows.append(
                {
                    "stage": stage,
                    "pairs": count,
                    "peak_mb": round(cost.resident),
                    "cpu_seconds": round(cost.seconds, 1),
                    "microseconds_a_pair": round(1e6 * cost.seconds / count, 1),
                }
            )
            print(
                "{stage}, {pairs:,} pairs: {peak_mb:,} MB, {microseconds_a_pair} us".format(**rows[-1]), file=sys.stderr
            )
        table = pl.read_csv(folder / "results/correlations.csv", infer_schema=False)
    longer = 1e9 * (rows[-1]["cpu_seconds"] - rows[-2]["cpu_seconds"])
    combinations = len(table) / table["split"].n_unique()
    rows[-1]["nanoseconds_a_step"] = round(longer / ((MORE - 1) * resamples * combinations * count), 1)
    print("{stage}, {pairs:,} pairs: {nanoseconds_a_step} ns a step".format(**rows[-1]), file=sys.stderr)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT, help="a checkout, whose stages are measured")
    parser.add_argument("--pairs", type=int, nargs="+", default=SIZES)
    parser.add_argument("--resamples", type=int, default=100, help="of the first run of correlate")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--dim", type=int, default=64)
    given = parser.parse_args()
    root, options = given.root.resolve(), (given.resamples, given.layers, given.dim)
    rows = [row for count in given.pairs for row in measured(root, count, *options)]
    json.dump({"resamples": given.resamples, "layers": given.layers, "dim": given.dim, "rows": rows}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
