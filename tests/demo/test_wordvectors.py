"""PPMI vectors against a slow count, a dense SVD, and the reader of the baseline."""

import gzip

import numpy as np
import pytest

from pipeline.base.errors import InputError
from pipeline.baselines.vectors import read_vectors
from pipeline.demo.settings import WordVectors
from pipeline.demo.wordvectors import cooccurrences, ppmi, train, words, write

SETTINGS = WordVectors(dim=4, words=12, window=3, smoothing=0.75)
LETTERS = "abcdefghijklmn"


@pytest.fixture
def texts(rng):
    return [" ".join(rng.choice(list(LETTERS), 40, p=np.arange(1, 15) / 105)) for _ in range(6)]


def test_words():
    assert words("Ford's U.S. sales fell 5.2%, the (first) well-known drop.") == [
        *("ford", "'s", "u.s", ".", "sales", "fell", "5.2", "%", ",", "the", "(", "first", ")", "well-known", "drop"),
        ".",
    ]


def test_counts_by_the_definition(texts):
    vocabulary, counts = cooccurrences(texts, SETTINGS)
    totals = {word: sum(text.split().count(word) for text in texts) for word in LETTERS}
    assert vocabulary == sorted((w for w in totals if totals[w]), key=lambda w: (-totals[w], w))[:12]
    expected = np.zeros((len(vocabulary), len(vocabulary)))
    for text in texts:
        for i, a in enumerate(text.split()):
            for j, b in enumerate(text.split()):
                if 0 < abs(i - j) <= 3 and a in vocabulary and b in vocabulary:
                    expected[vocabulary.index(a), vocabulary.index(b)] += 1 / abs(i - j)
    np.testing.assert_allclose(counts.toarray(), expected, rtol=1e-12)


def test_ppmi_and_vectors_by_a_dense_svd(texts):
    vocabulary, counts = cooccurrences(texts, SETTINGS)
    joint = counts.toarray() / counts.sum()
    smooth = counts.toarray().sum(0) ** 0.75
    with np.errstate(divide="ignore"):
        dense = np.maximum(np.log(joint / np.outer(joint.sum(1), smooth / smooth.sum())), 0)
    np.testing.assert_allclose(ppmi(counts, 0.75).toarray(), dense, atol=1e-12)
    u, s, _ = np.linalg.svd(dense)
    trained, vectors = train(texts, SETTINGS)
    assert trained == vocabulary
    # Singular values are kept to a few units in the last place, the vectors of the first four to that over the gap
    # between the fourth and the fifth. Products of vectors are free of their signs.
    gap = (s[3] - s[4]) / s[0]
    expected = (u[:, :4] * s[:4]) @ u[:, :4].T
    vectors *= np.sqrt(np.trace(expected) / np.sum(vectors**2))
    np.testing.assert_allclose(vectors @ vectors.T, expected, atol=1e-12 * s[0] / gap)


def test_the_file_is_what_the_baseline_reads_and_the_same_bytes_again(texts, tmp_path):
    vocabulary, vectors = train(texts, SETTINGS)
    for name in ("a.txt.gz", "b.txt.gz"):
        write(tmp_path / name, vocabulary, vectors)
    assert (tmp_path / "a.txt.gz").read_bytes() == (tmp_path / "b.txt.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.txt.gz").read_bytes()).startswith(f"{vocabulary[0]} ".encode())
    known, dim = read_vectors(tmp_path / "a.txt.gz", set(vocabulary))
    assert dim == 4
    np.testing.assert_allclose(np.stack([known[word] for word in vocabulary]), vectors, atol=0.00501)
    assert np.sqrt(np.mean(vectors**2)) == pytest.approx(1)


def test_words_that_keep_the_same_company_are_near(rng):
    frames = [
        "the {} barked at the postman",
        "a {} chased the ball",
        "{} shares rose on wall street",
        "investors sold {} shares",
    ]
    choices = [["dog", "puppy"], ["dog", "puppy"], ["ford", "intel"], ["ford", "intel"]]
    texts = [frames[i].format(rng.choice(choices[i])) for i in rng.integers(0, 4, 400)]
    vocabulary, vectors = train(texts, WordVectors(dim=4, words=50, window=3, smoothing=0.75))
    unit = dict(zip(vocabulary, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)))
    assert unit["dog"] @ unit["puppy"] > 0.8 > 0.5 > unit["dog"] @ unit["ford"]


def test_too_few_words_are_refused():
    with pytest.raises(InputError, match="the text has 2 words: too few for 4 dimensions"):
        train(["a b a b"], SETTINGS)
