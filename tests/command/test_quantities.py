"""Bytes, counts and times in words, by hand."""

import pytest

from pipeline.command import quantities


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (7, "7"),
        (12_345, "12,345"),
        (1_500_000, "1.5 million"),
        (29_000_000, "29 million"),
        (2.93e9, "2.9 billion"),
        (260e9, "260 billion"),
        (1.25e12, "1.2 trillion"),
    ],
)
def test_large_numbers(count, words):
    assert quantities.amount(count) == words


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (0.4, "less than a minute"),
        (1.2, "about a minute"),
        (89, "about 89 minutes"),
        (15 * 60, "about 15 hours"),
        (53 * 1440, "about 53 days"),
    ],
)
def test_times(minutes, words):
    assert quantities.in_words(minutes) == words


@pytest.mark.parametrize(
    ("count", "words"), [(999, "999 bytes"), (5_500, "5.5 kB"), (10.4e12, "10 TB"), (6.3e16, "63 PB")]
)
def test_bytes(count, words):
    assert quantities.size(count) == words
