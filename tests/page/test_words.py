"""Attention of words, and neighbours by shared words."""

from math import log, sqrt

import numpy as np
import pytest

from pipeline.formats.tokens import Tokens
from pipeline.page import words


def test_a_word_has_what_its_tokens_have_in_multiples_of_what_the_mean_gives_it():
    pieces, weights = ["a", " hot", "el", " ", "and"], np.array([0.1, 0.2, 0.3, 0.15, 0.25])
    assert words.of_sentence("a hotel and", pieces, weights) == pytest.approx([0.5, 5 * 0.5 / 2, 5 * 0.25])


def test_the_mean_weighs_every_word_once(rng):
    pieces = ["One", " two", "-three", ",", " four", "."]
    found = words.of_sentence("One two-three, four.", pieces, np.full(6, 1 / 6))
    assert found == pytest.approx([1, 1, 1])


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("a b", ["a", " c"]),  # other tokens
        ("a b", ["a b"]),  # two words in one token
        ("", ["x"]),
        ("a\x1bb c", ["a\x1bb", " c"][:1]),  # cut
    ],
)
def test_what_cannot_be_laid_over_words_is_not_shaded(text, pieces):
    assert words.of_sentence(text, pieces, np.full(len(pieces), 1 / len(pieces))) is None


def test_a_token_before_the_sentence_is_no_word_of_it():
    assert words.of_sentence("b c", ["<s>", "b", " c"], np.array([0.5, 0.25, 0.25])) == pytest.approx([0.75, 0.75])


def tokens(ids, pieces):
    count = len(ids)
    return Tokens("m", np.arange(count), [np.array(one) for one in ids], pieces, np.zeros(count, bool), {})


def test_attention_that_is_the_mean_is_not_shown():
    found = tokens([[0, 1], [1]], {0: "a", 1: " b"})
    flat = {0: np.array([0.5, 0.5]), 1: np.array([1.0])}
    assert words.of_attention(3, flat, found, ["a b", " b"]) is None
    weights = words.of_attention(3, flat | {0: np.array([0.2, 0.8])}, found, ["a b", "none"])
    assert weights.layer == 3
    assert weights.of_words[0] == pytest.approx([0.4, 1.6])
    assert weights.of_words[1] is None


def alike(texts):
    """Cosines of TF-IDF by its definition: idf = 1 + ln((1 + n) / (1 + df))."""
    bags = [text.lower().split() for text in texts]
    vocabulary = sorted({word for bag in bags for word in bag})
    df = {word: sum(word in bag for bag in bags) for word in vocabulary}
    rows = [[bag.count(word) * (1 + log((1 + len(bags)) / (1 + df[word]))) for word in vocabulary] for bag in bags]
    lengths = [sqrt(sum(value * value for value in row)) or 1.0 for row in rows]
    unit = np.array([[value / length for value in row] for row, length in zip(rows, lengths)])
    return unit @ unit.T


def test_neighbours_share_most_words_within_their_split(rng, monkeypatch):
    monkeypatch.setattr(words, "CHUNK", 4)
    texts = [" ".join(f"w{word}" for word in rng.integers(0, 12, 5)) for _ in range(30)]
    first, second = texts[:15], texts[15:]
    members = [np.arange(0, 15, 2), np.arange(1, 15, 2)]
    nearest = words.neighbours(first, second, members)
    similar = alike([f"{one} {other}" for one, other in zip(first, second)])
    for rows in members:
        for row in rows:
            others = np.sort([similar[row, other] for other in rows if other != row])[::-1]
            assert row not in nearest[row]
            assert set(nearest[row]) <= {*rows, words.NOBODY}
            shared = [similar[row, other] if other != words.NOBODY else 0.0 for other in nearest[row]]
            np.testing.assert_allclose(shared, others[:3], atol=1e-5)  # float32


def test_nobody_is_near_where_no_word_is_shared_or_nobody_is_left():
    nearest = words.neighbours(["a", "b", "c c"], ["a", "b", "d"], [np.array([0, 1]), np.array([2])])
    assert (nearest == words.NOBODY).all()
    assert (words.neighbours(["", ""], ["", ""], [np.arange(2)]) == words.NOBODY).all()
