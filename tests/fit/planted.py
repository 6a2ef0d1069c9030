"""Token states with a planted signal, and what learned attention makes of them.

Of the n tokens of a sentence, m carry a signal; the two sentences of a pair share it where the label is 1. Every token
that carries it is marked by a common direction u, the others are noise: mechanism C7 of arXiv 2502.14620. Where m = n
there is nothing for attention to choose.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from pipeline.fit.run import fit
from pipeline.fit.settings import Fit
from pipeline.pool.learned import LEARNED
from pipeline.pool.tokens import mean
from pipeline.score.similarities import Similarity, score_pairs
from pipeline.stats.bootstrap import bootstrap
from pipeline.stats.ranks import spearman
from pipeline.stats.significance import difference
from tests.helpers import pairs_table
from tests.pool.dumps import write_tokens

DIM, MARK = 32, 3.0  # width, length of the mark along u, both beside noise of size 1
CPU = torch.device("cpu")
SETTINGS = Fit(
    poolings=["attention", "diagonal", "scalar_mix"],
    runs=2,
    epochs=2,
    patience=2,
    batch_pairs=8,
    learning_rate=0.05,
    scale=20,
    seed=0,
    shuffle_labels=False,
    controls=False,
)
LONG = replace(SETTINGS, poolings=["attention", "diagonal"], epochs=8, patience=8, batch_pairs=64, learning_rate=0.1)


def draw(rng, n, m, signal, sizes):
    """Sentences of n tokens, m of which carry a signal -> ({sentence_id: [(n, DIM)]}, pairs of C2, u (DIM,))."""
    u = rng.standard_normal(DIM)
    u /= np.linalg.norm(u)
    drawn, labels = {}, rng.integers(0, 2, sum(sizes.values()))
    for label in labels:
        shared = rng.standard_normal(DIM)
        for _ in range(2):
            carried = shared if label else rng.standard_normal(DIM)
            h = rng.standard_normal((n, DIM))
            h[rng.permutation(n)[:m]] += signal * carried + MARK * u
            drawn[len(drawn)] = [h.astype(np.float16)]
    return drawn, pairs_table(labels, [split for split, count in sizes.items() for _ in range(count)]), u


def study(drawn, pairs, settings=LONG):
    """Fit on train -> queries (runs, D), and {"mean", "attention", "diagonal": scores of the test pairs (runs, n)}."""
    with tempfile.TemporaryDirectory() as folder:
        dump = write_tokens(Path(folder) / "states", drawn, sentences_a_batch=100)
        parameters = fit(dump, pairs, settings, CPU, log=lambda line: None).parameters
    test = pairs.filter(split="test")
    first, second = test["sentence1_id"].to_numpy(), test["sentence2_id"].to_numpy()

    def scores(pool):
        vectors = np.stack([pool(drawn[i][0].astype(np.float64)) for i in range(len(drawn))])
        return score_pairs(vectors, first, second, [Similarity("cosine")])[0]

    of_poolings = {"mean": scores(mean)[None]}
    for name in settings.poolings:
        pool = LEARNED[name]
        of_poolings[name] = np.stack(
            [scores(lambda h, run=run, pool=pool: pool(h, run[0])) for run in parameters[name]]
        )
    return parameters["attention"][:, 0], of_poolings


def gain(scores, against, pairs, confidence=0.95, resamples=2000):
    """Mean rho over the runs of one pooling minus that of another, on the test pairs: an Estimate."""
    test = pairs.filter(split="test")
    labels, component = test["label"].to_numpy(), test["component"].to_numpy()
    rhos, resampled = [], []
    for runs in (scores, against):
        rhos.append(np.mean([[spearman(run, labels)] for run in runs], axis=0))
        of_runs = bootstrap(runs, labels, component, resamples, 0)["spearman"]
        resampled.append(of_runs.mean(axis=0, keepdims=True))
    return difference(*rhos, *resampled, confidence)
