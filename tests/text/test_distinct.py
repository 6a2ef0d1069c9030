"""Distinct texts against a dictionary of them, also where hashes are so weak that most texts share one."""

import numpy as np
import polars as pl
import pytest

from pipeline.text import distinct


def by_dictionary(texts):
    numbers = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    return [numbers[text] for text in texts], list(numbers)


def weak(bits):
    """The first bits of the hash alone: the other numbers are 0."""

    def hash_of(texts):
        return distinct.hash_of(texts) & np.array([2**bits - 1, 0], dtype=np.uint64)

    return hash_of


@pytest.mark.parametrize("hash_of", [distinct.hash_of, weak(8), weak(2), weak(0)])
def test_numbers_are_those_of_a_dictionary_whatever_the_hash(rng, hash_of):
    texts = ["", "a", "a ", "é", "e\u0301", *(str(number) * 7 for number in rng.integers(0, 500, 3000))]
    texts = [texts[i] for i in rng.permutation(len(texts))]
    numbers, first = distinct.numbered(pl.Series(texts), hash_of)
    expected, names = by_dictionary(texts)
    assert numbers.tolist() == expected
    assert [texts[row] for row in first] == names


def test_most_texts_share_a_weak_hash(rng):
    """The opposite: were texts not compared, they would be one."""
    texts = pl.Series([str(number) for number in range(3000)])
    assert len(np.unique(weak(8)(texts), axis=0)) <= 256
    assert len(np.unique(distinct.hash_of(texts), axis=0)) == 3000


def test_the_two_halves_of_a_hash_are_two_hashes(rng):
    halves = distinct.hash_of(pl.Series([str(number) for number in range(1000)]))
    assert not (halves[:, 0] == halves[:, 1]).any()
    assert np.unique(halves[:, 0] ^ halves[:, 1]).size == 1000


def test_texts_in_chunks_are_texts(rng):
    texts = pl.Series(["a", "b", "a", "c"]).append(pl.Series(["b", "d"]))
    assert distinct.numbered(texts)[0].tolist() == [0, 1, 0, 2, 1, 3]
