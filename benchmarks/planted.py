"""Does learned attention find what it should, and only where there is something to find? States with a planted signal.

    python -m benchmarks.planted    # a few minutes; writes docs/results/planted-signal.png and prints its figures

Of the n tokens of a sentence, m carry a signal; the two sentences of a pair share it where the label is 1. Every token
that carries it is marked by a common direction u, the others are noise: mechanism C7 of arXiv 2502.14620. Where m = n
there is nothing for attention to choose.
"""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import torch

from benchmarks import planted_picture
from benchmarks.common import ROOT
from pipeline.dump.shards import Shard
from pipeline.fit.run import fit
from pipeline.fit.settings import Fit
from pipeline.formats import dumps, states
from pipeline.pool.learned import LEARNED
from pipeline.pool.tokens import mean
from pipeline.score.similarities import Similarity, score_pairs
from pipeline.stats.bootstrap import bootstrap
from pipeline.stats.ranks import spearman
from pipeline.stats.significance import difference
from pipeline.storage.folder import Folder

DIM, MARK = 32, 2.0
"""width, and length of the mark along u, both beside noise of size 1"""
SIZES = {"train": 1500, "test": 1000}
"""pairs"""
TOKENS = (4, 8, 16, 32, 64)
"""n, tokens of a sentence"""
FEW_CARRY, ALL_CARRY = "4 of n tokens carry the signal", "all n tokens carry it"
SETTINGS = Fit(
    poolings=["attention", "diagonal"],
    runs=3,
    epochs=15,
    patience=15,
    batch_pairs=32,
    learning_rate=0.05,
    scale=20,
    seed=0,
    shuffle_labels=False,
    controls=False,
)
RESAMPLES, CONFIDENCE = 2000, 0.95
CPU = torch.device("cpu")
PICTURE = ROOT / "docs/results/planted-signal.png"


@dataclass(frozen=True)
class Sample:
    """Pairs of sentences with a planted signal."""

    states: dict[int, np.ndarray]
    """sentence_id -> (n, DIM) float16"""
    pairs: pl.DataFrame
    """of C2"""
    direction: np.ndarray
    """u, which marks the tokens that carry the signal (DIM,)"""

    @property
    def test(self):
        """The test pairs."""
        return self.pairs.filter(split="test")


@dataclass(frozen=True)
class Study:
    """What poolings make of a sample."""

    queries: np.ndarray
    """of attention, (runs, DIM)"""
    scores: dict[str, np.ndarray]
    """mean, attention, diagonal -> scores of the test pairs (runs, P); the mean has one run"""


@dataclass(frozen=True)
class Result:
    """A row of the table and a point of the picture."""

    condition: str
    n: int
    m: int
    rho: dict[str, float]
    """pooling -> the mean over its runs"""
    gain: float
    """rho of attention minus that of the mean"""
    low: float
    high: float
    cosine: float
    """of attention's queries with u, the mean over runs"""


def draw(rng, n, m, signal, sizes=SIZES):
    """Pairs of sentences of n tokens, m of which carry a signal of some size -> Sample."""
    u = rng.standard_normal(DIM)
    u /= np.linalg.norm(u)
    states, rows = {}, []
    for split, count in sizes.items():
        for _ in range(count):
            label, shared, ids = rng.integers(2), rng.standard_normal(DIM), []
            for _ in range(2):
                carried = shared if label else rng.standard_normal(DIM)
                h = rng.standard_normal((n, DIM))
                carriers = rng.permutation(n)[:m]
                h[carriers] += signal * carried + MARK * u
                ids.append(len(states))
                states[ids[-1]] = h.astype(np.float16)
            rows.append([len(rows), split, *ids, float(label), len(rows)])
    columns = ["pair_id", "split", "sentence1_id", "sentence2_id", "label", "component"]
    return Sample(states, pl.DataFrame(rows, schema=columns, orient="row"), u)


def write(folder, drawn):
    """Token states of one layer as a dump of one shard (C3) -> the States that are read from it."""
    schema = states.schema([0], DIM, "float16")
    shard = Shard(Folder(Path(folder)).claim("shard-00000.arrow"), schema)
    for start in range(0, len(drawn), 100):
        ids = list(drawn)[start : start + 100]
        lengths = [len(drawn[i]) for i in ids]
        positions = np.concatenate([np.arange(length, dtype=np.int32) for length in lengths])
        columns = [np.repeat(np.array(ids), lengths), positions, np.concatenate([drawn[i] for i in ids])]
        shard.write(states.record_batch(columns, schema))
    shard.finish()
    return dumps.read(folder)


def fitted(sample, settings):
    """What is learned from the train pairs of a sample."""
    with tempfile.TemporaryDirectory() as folder:
        return fit(write(folder, sample.states), sample.pairs, settings, CPU, log=lambda line: None)


def study(sample, settings=SETTINGS):
    """Fit on train, score the test pairs by every run -> Study."""
    parameters = fitted(sample, settings).parameters
    first, second = sample.test["sentence1_id"].to_numpy(), sample.test["sentence2_id"].to_numpy()

    def scores(pool, *learned):
        states = sample.states
        vectors = np.stack([pool(states[i].astype(np.float64), *learned) for i in range(len(states))])
        return score_pairs(vectors, first, second, [Similarity("cosine")])[0]

    of_poolings = {"mean": scores(mean)[None]}
    for name, pool in LEARNED.items():
        of_poolings[name] = np.stack([scores(pool, of_run[0]) for of_run in parameters[name]])
    return Study(parameters["attention"][:, 0], of_poolings)


def gain(scores, against, test):
    """Mean rho over the runs of one pooling minus that of another: scores (runs, P) and test pairs -> an Estimate."""
    labels, component = test["label"].to_numpy(), test["component"].to_numpy()
    rhos, resampled = [], []
    for of_runs in (scores, against):
        rhos.append(mean_rho(of_runs, labels, keepdims=True))
        of_resamples = bootstrap(of_runs, labels, component, RESAMPLES, 0, ["spearman"])["spearman"]
        resampled.append(of_resamples.mean(axis=0, keepdims=True))
    return difference(*rhos, *resampled, CONFIDENCE)


def mean_rho(scores, labels, keepdims=False):
    """rho of each run, the mean over runs."""
    return np.mean([spearman(of_run, labels) for of_run in scores], keepdims=keepdims)


def permuted(draws=100):
    """How often the guard lets through what was learned from permuted labels of 400 train pairs -> {pooling: count}."""
    counts = dict.fromkeys(SETTINGS.poolings, 0)
    for number in range(draws):
        sample = draw(np.random.default_rng(number), 24, 3, 1.0, {"train": 400, "test": 2})
        report = fitted(sample, replace(SETTINGS, shuffle_labels=True)).report
        for name in counts:
            counts[name] += report["poolings"][name]["kept"][0]
    return counts


def measured(condition, n):
    """A condition at one length -> Result."""
    if condition == FEW_CARRY:
        m, signal = 4, 0.5
    else:  # so small a signal that the mean of all tokens does not say all
        m, signal = n, 0.65 / n**0.5
    sample = draw(np.random.default_rng([n, m]), n, m, signal)
    learned, labels = study(sample), sample.test["label"].to_numpy()
    apart = gain(learned.scores["attention"], learned.scores["mean"], sample.test)
    lengths = np.maximum(np.linalg.norm(learned.queries, axis=1), 1e-12)
    return Result(
        condition,
        n,
        m,
        rho={name: float(mean_rho(scores, labels)) for name, scores in learned.scores.items()},
        gain=float(apart.value[0]),
        low=float(apart.low[0]),
        high=float(apart.high[0]),
        cosine=float(np.mean(learned.queries @ sample.direction / lengths)),
    )


def main():
    torch.set_num_threads(1)
    results = []
    for condition in (FEW_CARRY, ALL_CARRY):
        for n in TOKENS:
            result = measured(condition, n)
            rhos = " | ".join(f"{rho:.3f}" for rho in result.rho.values())
            gained = f"{result.gain:+.3f} [{result.low:+.3f}, {result.high:+.3f}]"
            print(f"| {result.m} of {n} | {rhos} | {gained} | {result.cosine:.2f} |", flush=True)
            results.append(result)
    planted_picture.draw(results, PICTURE)
    kept = ", ".join(f"{name} {count}" for name, count in permuted().items())
    print(f"kept after 100 fits to permuted labels: {kept}")


if __name__ == "__main__":
    main()
