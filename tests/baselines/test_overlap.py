"""Measures of overlap, by hand and by their formulas."""

from collections import Counter

import numpy as np
import polars as pl
import pytest

from pipeline.baselines.overlap import MEASURES, char4, dice, jaccard, overlap, tfidf, words
from pipeline.catalog.entries import Baseline

TEXTS = ["the cat sat on the mat", "The dog sat", "a cat , a dog", "the zebra", "quagga", "the mat"]
PAIRS = [(0, 1), (1, 2), (3, 0), (4, 4), (4, 3), (5, 0)]


def tables(splits=None):
    """The pairs and sentences of C2, without the columns that overlap does not need."""
    first, second = zip(*PAIRS)
    pairs = {"split": splits or ["all"] * len(PAIRS), "sentence1_id": first, "sentence2_id": second}
    return pl.DataFrame(pairs), pl.DataFrame({"sentence_id": range(len(TEXTS)), "text": TEXTS})


def test_words_are_lower_case_and_split_at_white_space():
    assert words(" The cat's\tHAT ,\n\u00a0yes") == ["the", "cat's", "hat", ",", "yes"]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("the cat sat", "the dog sat", 2 * 2 / 6),
        ("the the cat", "the cat cat", 2 * 2 / 6),  # multisets: one the and one cat are shared
        ("the the", "the", 2 * 1 / 3),
        ("The Cat", "cat THE", 1),
        ("a b", "c d e", 0),
    ],
)
def test_dice_by_hand(a, b, expected):
    assert dice(a, b) == pytest.approx(expected, abs=1e-15)
    assert dice(b, a) == dice(a, b)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("the cat sat", "the dog sat", 2 / 4),
        ("the the cat", "the cat cat", 1),
        ("the the", "the dog", 1 / 2),
        ("The Cat", "cat", 1 / 2),
        ("a b", "c", 0),
    ],
)
def test_jaccard_by_hand(a, b, expected):
    assert jaccard(a, b) == pytest.approx(expected, abs=1e-15)
    assert jaccard(b, a) == jaccard(a, b)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("abcde", "bcdef", 1 / 3),  # abcd bcde | bcde cdef
        ("abcd", "abcd", 1),
        ("ABCD", "abcd", 1),
        ("abcdabcd", "abcdabcdabcd", 1),  # sets of abcd, bcda, cdab, dabc
        ("abc", "abc", 1),  # shorter than four: the whole text
        ("abc", "abcd", 0),
        ("a cat", "a car", 1 / 3),  # "a ca" | " cat" " car"
    ],
)
def test_char4_by_hand(a, b, expected):
    assert char4(a, b) == pytest.approx(expected, abs=1e-15)
    assert char4(b, a) == char4(a, b)


def slow_tfidf(fitted):
    """tf x (ln((1 + n) / (1 + df)) + 1), divided by its length; words outside the fitted texts are left out."""
    bags = [Counter(text.lower().split()) for text in TEXTS]
    vocabulary = sorted({word for i in fitted for word in bags[i]})
    df = np.array([sum(word in bags[i] for i in fitted) for word in vocabulary])
    idf = np.log((1 + len(fitted)) / (1 + df)) + 1
    rows = np.array([[bag[word] for word in vocabulary] for bag in bags]) * idf
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)
    return np.array([unit[i] @ unit[j] for i, j in PAIRS])


def test_tfidf_against_its_formula_on_all_sentences_where_there_is_no_train_split():
    cosines = tfidf(*tables())
    np.testing.assert_allclose(cosines, slow_tfidf(range(6)), rtol=0, atol=1e-12)
    assert cosines.dtype == np.float64


def test_tfidf_against_its_formula_with_frequencies_from_distinct_train_sentences():
    # sentences 0, 1 and 2 are train; sentence 1 is in two pairs and counts once
    cosines = tfidf(*tables(["train", "train", "test", "test", "test", "test"]))
    np.testing.assert_allclose(cosines, slow_tfidf(range(3)), rtol=0, atol=1e-12)
    assert cosines[3] == 0  # a word that train does not have is no vector at all
    assert not np.allclose(cosines, slow_tfidf(range(6)))


def test_overlap_gives_a_score_a_pair_for_every_measure():
    result = overlap(Baseline(kind="overlap"), *tables(), "baseline overlap")
    assert list(result.scores) == ["dice", "jaccard", "char4", "tfidf"]
    for name, measure in MEASURES.items():
        assert result.scores[name].tolist() == [measure(TEXTS[i], TEXTS[j]) for i, j in PAIRS]
    assert result.vectors is None
