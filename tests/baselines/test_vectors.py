"""Averaged word vectors: random ones by definition, and those of a file by hand."""

import gzip
import math
import sys
import tracemalloc
import zlib

import numpy as np
import polars as pl
import pytest

from pipeline.base.errors import InputError
from pipeline.baselines import vectors
from pipeline.baselines.run import run
from pipeline.catalog.entries import Baseline

TEXTS = ["the cat sat on the mat", "The dog sat", "a cat , a dog", "the zebra", "quagga", "the mat"]
GLOVE = "the 1 0 0\ncat 0 2 0\n, 0 0 4\nunused 9 9 9\n"


def result_of(texts, **entry):
    pairs = pl.DataFrame({"split": ["all"], "sentence1_id": [0], "sentence2_id": [0]})
    return run(Baseline(**entry), "b", pairs, pl.DataFrame({"sentence_id": range(len(texts)), "text": texts}))


def vectors_of(texts, **entry):
    return result_of(texts, **entry).vectors


def glove(tmp_path, text=GLOVE, name="vectors.txt"):
    opener = gzip.open if name.endswith(".gz") else open
    with opener(tmp_path / name, "wt", encoding="utf-8") as file:
        file.write(text)
    return str(tmp_path / name)


# random vectors


def test_random_vectors_by_definition():
    sentence = vectors_of(["cat Cat dog"], kind="random", dim=5, seed=3)[0]
    cat, dog = (
        np.random.default_rng([3, zlib.crc32(word.encode())]).standard_normal(5, dtype=np.float32)
        for word in ("cat", "dog")
    )
    np.testing.assert_allclose(sentence, (2 * cat + dog) / 3, rtol=1e-6)
    assert sentence.dtype == np.float32


def test_a_word_has_the_same_random_vector_whatever_the_other_words():
    alone = vectors_of(["cat"], kind="random", dim=50)
    among = vectors_of(["zebra aardvark", "CAT", "the cat sat"], kind="random", dim=50)
    assert np.array_equal(alone[0], among[1])
    assert not np.array_equal(among[0], among[1])


def test_the_seed_changes_random_vectors_and_the_run_does_not():
    first, again, other = (vectors_of(TEXTS, kind="random", dim=20, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.any(first == other)


def test_the_order_of_sentences_does_not_change_random_vectors():
    order = [4, 2, 0, 5, 1, 3]
    reordered = vectors_of([TEXTS[i] for i in order], kind="random", dim=20)
    assert np.array_equal(reordered, vectors_of(TEXTS, kind="random", dim=20)[order])


def test_random_vectors_are_standard_normal():
    drawn = vectors_of([f"word{i}" for i in range(400)], kind="random", dim=100)
    assert drawn.mean() == pytest.approx(0, abs=4 / math.sqrt(drawn.size))  # four standard errors
    assert drawn.var() == pytest.approx(1, abs=4 * math.sqrt(2 / drawn.size))


def test_vectors_of_many_texts_are_the_means_of_their_words_which_are_not_held_together(rng):
    names = [f"word{i}" for i in range(50)]
    known = {name: rng.standard_normal(8, dtype=np.float32) for name in names[:40]}
    texts = [" ".join(rng.choice(names, rng.integers(1, 60))) for _ in range(3000)]
    column, zero = pl.Series(texts), np.zeros(8, dtype=np.float32)
    tracemalloc.start()
    found = vectors.averages(column, known, 8)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    expected = np.stack([np.mean([known.get(word, zero) for word in text.split()], axis=0) for text in texts])
    assert np.array_equal(found, expected)
    assert peak < sum(sys.getsizeof(word) for text in texts for word in text.split()) / 3


# vectors of a file


@pytest.mark.parametrize("name", ["vectors.txt", "vectors.txt.gz"])
def test_word_vectors_are_averaged_by_hand_with_zeros_for_unknown_words(tmp_path, name):
    texts = ["The cat", "the the cat ,", "cat quagga", "quagga zebra"]
    result = result_of(texts, kind="vectors", path=glove(tmp_path, name=name))
    assert result.vectors.tolist() == [[0.5, 1, 0], [0.5, 0.5, 1], [0, 1, 0], [0, 0, 0]]
    assert result.vectors.dtype == np.float32
    assert result.info == {"dim": 3, "coverage": 7 / 10, "sentences_without_a_known_word": 1}
    assert result.scores == {}


def test_word_vectors_can_be_downloaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    url = (tmp_path / "vectors.txt").as_uri()
    expected = vectors_of(["the cat"], kind="vectors", path=glove(tmp_path))
    assert np.array_equal(vectors_of(["the cat"], kind="vectors", url=url), expected)


def test_only_the_wanted_words_are_kept(tmp_path):
    known, dim = vectors.read_vectors(glove(tmp_path), {"cat", "zebra"})
    assert known.keys() == {"cat"}
    assert known["cat"].tolist() == [0, 2, 0]
    assert dim == 3


def test_a_last_line_without_a_newline_is_read(tmp_path):
    assert vectors.read_vectors(glove(tmp_path, "the 1 0\ncat 0 2"), {"cat"})[0]["cat"].tolist() == [0, 2]


@pytest.mark.parametrize("name", ["vectors.txt", "vectors.txt.gz"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("the 1 0 0\ncat 0 2\n", r", line 2: 2 numbers after 'cat', expected 3 as in the first line"),
        ("the 1 0\nzebra 0 2 3\n", r", line 2: 3 numbers after 'zebra', expected 2 as in the first line"),
        ("the 1 0\n\ncat 0 2\n", r", line 2: 0 numbers after '', expected 2"),
        ("the 1 0\ncat 0 x\n", r", line 2: the vector of 'cat' is not 2 numbers"),
        ("", r" holds no word vectors: expected lines of a word and its numbers"),
        ("the\ncat\n", r" holds no word vectors: expected lines of a word and its numbers"),
    ],
)
def test_a_malformed_file_of_vectors_is_refused_with_the_line(tmp_path, name, text, message):
    with pytest.raises(InputError, match=name + message):
        vectors.read_vectors(glove(tmp_path, text, name), {"the", "cat"})


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "vectors.txt").write_bytes(b"the 1 0\ncaf\xe9 0 1\n")
    with pytest.raises(InputError, match=r"vectors\.txt is not text in UTF-8: expected \.txt or \.txt\.gz"):
        vectors.read_vectors(tmp_path / "vectors.txt", {"the"})


@pytest.mark.parametrize("damage", ["no gzip at all", "cut", "flipped"])
def test_a_damaged_gzip_of_vectors_is_refused(tmp_path, damage):
    path = tmp_path / "vectors.txt.gz"
    whole = gzip.compress("\n".join(f"word{i} {i} {i + 1}" for i in range(100)).encode())
    flipped = whole[: len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 255]) + whole[len(whole) // 2 + 1 :]
    path.write_bytes({"no gzip at all": b"the 1 0\n", "cut": whole[: len(whole) // 2], "flipped": flipped}[damage])
    with pytest.raises(InputError, match=r"vectors\.txt\.gz"):
        vectors.read_vectors(path, {"word1"})


@pytest.mark.parametrize("fields", [{}, {"path": "a.txt", "url": "https://example.org/a.txt"}])
def test_word_vectors_come_from_exactly_one_place(fields):
    with pytest.raises(InputError, match=r"baseline b has (no source|path and url): give exactly one of path, url"):
        vectors_of(["the cat"], kind="vectors", **fields)


def test_a_missing_file_of_word_vectors_is_named(tmp_path):
    with pytest.raises(InputError, match=r"baseline b: .*glove\.txt does not exist \(looked at /"):
        vectors_of(["a"], kind="vectors", path=str(tmp_path / "glove.txt"))


def test_a_zip_of_word_vectors_without_its_member_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "glove.zip").write_bytes(b"PK\x03\x04\xff\xfe\xfd\xfc")
    with pytest.raises(InputError, match=r" is not text in UTF-8: .*`member`"):
        vectors_of(["a"], kind="vectors", url=(tmp_path / "glove.zip").as_uri())


def vector(tmp_path, text, word):
    return vectors.read_vectors(glove(tmp_path, text), {word})[0][word].tolist()


def test_a_word_with_blanks_has_the_last_numbers_as_its_vector(tmp_path):
    text = GLOVE + ". . . 2 2 2\nat name@domain.com 1 2 3\n"
    assert vector(tmp_path, text, ". . .") == [2, 2, 2]
    assert vector(tmp_path, text, "at name@domain.com") == [1, 2, 3]
    assert vector(tmp_path, text, "cat") == [0, 2, 0]


def test_a_line_that_counts_words_and_dimensions_is_no_word(tmp_path):
    known, dim = vectors.read_vectors(glove(tmp_path, "4 3\n" + GLOVE), {"4", "cat"})
    assert (known.keys(), dim) == ({"cat"}, 3)
    known, dim = vectors.read_vectors(glove(tmp_path, "4 3\ncat 2\n"), {"4", "cat"})
    assert ({word: values.tolist() for word, values in known.items()}, dim) == ({"4": [3], "cat": [2]}, 1)


@pytest.mark.parametrize("end", [" \n", "\r\n", " \r\n"])
def test_blanks_and_returns_at_the_ends_of_lines_are_nothing(tmp_path, end):
    assert vector(tmp_path, GLOVE.replace("\n", end), "cat") == [0, 2, 0]


def test_a_byte_order_mark_is_not_part_of_the_first_word(tmp_path):
    assert vector(tmp_path, "\ufeff" + GLOVE, "the") == [1, 0, 0]


@pytest.mark.parametrize("word", ["\u00a0", "\x85", "\u2028", "\x0b"])
def test_a_word_that_looks_like_a_blank_or_a_line_end_is_a_word(tmp_path, word):
    text = GLOVE + f"{word} 5 6 7\ndog 1 1 1\n"
    assert vector(tmp_path, text, word) == [5, 6, 7]
    assert vector(tmp_path, text, "dog") == [1, 1, 1]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999"])
def test_a_vector_that_is_not_finite_is_refused_with_its_line(tmp_path, value):
    with pytest.raises(InputError, match="line 5: the vector of 'dog' holds NaN or infinity"):
        vector(tmp_path, GLOVE + f"dog 1 {value} 1\n", "dog")


def test_a_word_with_two_vectors_is_refused(tmp_path):
    with pytest.raises(InputError, match="line 5: 'cat' has another vector further up"):
        vector(tmp_path, GLOVE + "cat 1 1 1\n", "cat")


def test_a_gzip_file_that_is_none_or_cut_is_refused(tmp_path):
    whole = gzip.compress(GLOVE.encode() * 99)
    for content in (GLOVE.encode(), whole[:-9], whole[:30]):
        (tmp_path / "v.txt.gz").write_bytes(content)
        with pytest.raises(InputError, match="is not a whole gzip file"):
            vectors.read_vectors(tmp_path / "v.txt.gz", {"the"})
