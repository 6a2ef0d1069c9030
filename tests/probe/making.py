"""Pairs, files of vectors and settings, which the tests of this room probe."""

import numpy as np

from pipeline.formats import vectors
from pipeline.probe.settings import Probe
from tests.helpers import pairs_table

SETTINGS = Probe(
    probes=["difference_product", "bilinear"],
    layers="all",
    strengths=[0.001, 0.1],
    folds=3,
    dimensions=4,
    seed=0,
    controls=False,
)


def pairs_of(rng, train=60, test=40, graded=False):
    """Pairs (C2) with balanced labels in random order, or grades, each with two sentences of its own."""
    n = train + test
    labels = rng.integers(0, 11, n) / 2 if graded else rng.permutation(np.arange(n) % 2)
    return pairs_table(labels, ["train"] * train + ["test"] * test)


def write(path, layers, encoder="toy", of_layers=True):
    """{layer: (S, D)} as the stage pool writes them."""
    vectors.write(path, layers, vectors.Info(encoder, "mean", of_layers))
