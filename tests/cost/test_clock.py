"""Times of an encoder whose cost is known, because it sleeps."""

import time

import numpy as np
import pytest

from pipeline.cost import clock
from pipeline.cost.clock import best_batch_size, memory, timed
from pipeline.cost.encoders import Encoder, Variant

PAIRS = [("a b", "c"), ("d", "e f"), ("g", "h"), ("i", "j")]
TOKENIZING, SCORING = 0.004, 0.012
VARIANT = Variant()


@pytest.fixture
def sleep(monkeypatch):
    """time.sleep on a clock of our own, which nothing else moves; half of a sleep takes the CPU."""
    now = np.zeros(2)
    monkeypatch.setattr(clock, "_now", now.copy)

    def sleep(seconds):
        now[:] += seconds, seconds / 2

    return sleep


def sleeper(sleep, scoring=lambda pairs: SCORING, tokenize=True, reads_text=False):
    """An encoder that sleeps for every batch: to tokenize, and so long as `scoring` says for so many pairs."""
    seen = []

    def tokenized(texts):
        sleep(TOKENIZING)
        return [text.split() for text in texts]

    def scores(tokens, variant):
        seen.append(tokens)
        sleep(scoring(len(tokens) // 2) + (TOKENIZING if reads_text else 0))
        return np.zeros(len(tokens) // 2)

    encoder = Encoder("fake", "mean", [Variant(0), Variant(1)], tokenized if tokenize else None, scores, reads_text)
    return encoder, seen


@pytest.mark.parametrize("batch_size", [1, 2, 4])
@pytest.mark.parametrize("reads_text", [False, True])
def test_the_time_of_a_pair_is_what_was_slept_with_and_without_tokenization(sleep, batch_size, reads_text):
    encoder, _ = sleeper(sleep, reads_text=reads_text)
    timing = timed(encoder, PAIRS, VARIANT, batch_size)
    assert timing.whole == pytest.approx((TOKENIZING + SCORING) / batch_size, rel=1e-9)
    assert timing.encoding == pytest.approx(SCORING / batch_size, rel=1e-9)
    assert timing.cpu == pytest.approx(timing.whole / 2, rel=1e-9)


def test_the_clock_is_that_on_the_wall_and_that_of_the_cpu():
    encoder, _ = sleeper(time.sleep)
    timing = timed(encoder, PAIRS, VARIANT, 2)
    assert timing.whole >= (TOKENIZING + SCORING) / 2
    assert timing.cpu < timing.whole  # who sleeps takes no CPU


def test_an_encoder_without_tokens_has_no_time_without_them(sleep):
    encoder, seen = sleeper(sleep, tokenize=False, reads_text=True)
    timing = timed(encoder, PAIRS, VARIANT, 4)
    assert timing.encoding is None
    assert seen == [["a b", "d", "g", "i", "c", "e f", "h", "j"]]  # first sentences, then second ones


def test_a_batch_that_is_not_full_counts_its_pairs(sleep):
    encoder, seen = sleeper(sleep)
    timed(encoder, PAIRS, VARIANT, 3)
    assert [len(tokens) for tokens in seen] == [6, 2]


@pytest.mark.parametrize(("scoring", "best"), [(lambda pairs: 0.01, 4), (lambda pairs: 0.002 * pairs**3, 1)])
def test_the_best_batch_size_is_that_with_the_most_pairs_a_second(sleep, scoring, best):
    encoder, _ = sleeper(sleep, scoring)
    assert best_batch_size(encoder, PAIRS, [2, 4]) == best


def test_memory_is_read_from_what_the_system_says(tmp_path):
    (tmp_path / "status").write_text("Name:\tpython\nVmHWM:\t  2048 kB\nRssAnon:\t     3 kB\nThreads:\t4\n")
    assert memory(tmp_path / "status") == {"peak_bytes": 2 << 20, "own_bytes": 3 << 10}
    assert memory(tmp_path / "missing") == {"peak_bytes": None, "own_bytes": None}


def test_the_peak_grows_with_what_is_held():
    before = memory()["own_bytes"]
    held = np.ones(64 << 17)  # 64 MiB are asked of the system; what was freed before serves for 32 at most
    after = memory()
    assert after["own_bytes"] - before >= held.nbytes / 2
    assert after["peak_bytes"] >= after["own_bytes"]
