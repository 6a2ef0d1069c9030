"""Baselines without a network: their scores are those of the study, and no torch is loaded."""

import gzip

import numpy as np
import polars as pl
import pytest

from pipeline.baselines import overlap as measures
from pipeline.baselines.vectors import random_vectors, word_vectors
from pipeline.catalog.entries import Baseline
from pipeline.cost import encoders
from pipeline.score.similarities import cosine
from tests.helpers import ROOT, run

TEXTS = ["a cat sat", "the dog", "a dog sat", "the unseen dog"]


@pytest.mark.parametrize("measure", measures.MEASURES)
def test_overlap_gives_the_score_of_each_measure(measure):
    encoder = encoders.overlap(Baseline(kind="overlap"), "b")
    [variant] = [variant for variant in encoder.variants if variant.similarity == measure]
    expected = [measures.MEASURES[measure](a, b) for a, b in zip(TEXTS[:2], TEXTS[2:])]
    assert encoder.scores(TEXTS, variant).tolist() == expected
    assert encoder.tokenize is None


def cosines(vectors):
    return cosine(vectors[:2].astype(float), vectors[2:].astype(float))


def test_word_vectors_give_the_cosines_of_the_study_and_hold_every_word(tmp_path):
    file = tmp_path / "v.txt.gz"
    file.write_bytes(gzip.compress(b"cat 1 0\ndog 0 2\nsat 1 1\nthe 1 -1\nother 5 5\n"))
    entry = Baseline(kind="vectors", path=str(file))
    encoder = encoders.vectors(entry, "b")
    expected = word_vectors(entry, None, pl.DataFrame({"text": TEXTS}), "b").vectors
    assert np.array_equal(encoder.scores(TEXTS, encoder.variants[0]), cosines(expected))
    assert encoder.variants[0].parameters == 5 * 2
    assert encoder.disk_bytes == file.stat().st_size
    assert encoder.tokenize(["A  b"]) == [["a", "b"]]


def test_random_vectors_give_the_cosines_of_the_study():
    entry = Baseline(kind="random", dim=6, seed=3)
    encoder = encoders.random(entry, "b")
    expected = random_vectors(entry, None, pl.DataFrame({"text": TEXTS}), "b").vectors
    assert np.array_equal(encoder.scores(TEXTS, encoder.variants[0]), cosines(expected))


def test_baselines_without_a_network_load_no_torch():
    program = """
import sys
from pipeline.cost import clock, encoders, worker
for name in ("overlap", "random", "demo-vectors"):
    encoder = encoders.opened(name)
    clock.timed(encoder, [("a cat", "a dog")], encoder.variants[0], 1)
print([name for name in ("torch", "transformers", "sklearn") if name in sys.modules])
"""
    assert run(ROOT, "python", "-c", program).stdout.strip() == "[]"
