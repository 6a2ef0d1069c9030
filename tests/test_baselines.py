import gzip
import json
import math
import zlib
from collections import Counter

import numpy as np
import polars as pl
import pytest
from scipy.stats import spearmanr

from pipeline import baselines, pairs, scoring, vectors
from pipeline.catalog import Baseline, Dataset


def table_of(texts, both, splits=None):
    """Sentences and the pairs of their ids, as the prepare stage writes them."""
    rows = {"pair_id": range(len(both)), "split": splits or ["all"] * len(both), "sentence1_id": [i for i, _ in both], "sentence2_id": [j for _, j in both]}
    return pl.DataFrame(rows), pl.DataFrame({"sentence_id": range(len(texts)), "text": texts})


def vectors_of(texts, **entry):
    return baselines.run(Baseline(**entry), "b", *table_of(texts, [(0, 0)])).vectors


def test_words_are_lower_case_and_split_at_white_space():
    assert baselines.words(" The cat's\tHAT ,\n\u00a0yes") == ["the", "cat's", "hat", ",", "yes"]


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
    assert baselines.dice(a, b) == pytest.approx(expected, abs=1e-15)
    assert baselines.dice(b, a) == baselines.dice(a, b)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [("the cat sat", "the dog sat", 2 / 4), ("the the cat", "the cat cat", 1), ("the the", "the dog", 1 / 2), ("The Cat", "cat", 1 / 2), ("a b", "c", 0)],
)
def test_jaccard_by_hand(a, b, expected):
    assert baselines.jaccard(a, b) == pytest.approx(expected, abs=1e-15)
    assert baselines.jaccard(b, a) == baselines.jaccard(a, b)


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
    assert baselines.char4(a, b) == pytest.approx(expected, abs=1e-15)
    assert baselines.char4(b, a) == baselines.char4(a, b)


def slow_tfidf(texts, both, fitted):
    """tf x (ln((1 + n) / (1 + df)) + 1), divided by its length; words outside the fitted texts are left out."""
    bags = [Counter(text.lower().split()) for text in texts]
    vocabulary = sorted({word for i in fitted for word in bags[i]})
    df = np.array([sum(word in bags[i] for i in fitted) for word in vocabulary])
    rows = np.array([[bag[word] for word in vocabulary] for bag in bags]) * (np.log((1 + len(fitted)) / (1 + df)) + 1)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)
    return np.array([unit[i] @ unit[j] for i, j in both])


TEXTS = ["the cat sat on the mat", "The dog sat", "a cat , a dog", "the zebra", "quagga", "the mat"]
BOTH = [(0, 1), (1, 2), (3, 0), (4, 4), (4, 3), (5, 0)]


def test_tfidf_against_its_formula_on_all_sentences_where_there_is_no_train_split():
    found = baselines.tfidf(*table_of(TEXTS, BOTH))
    np.testing.assert_allclose(found, slow_tfidf(TEXTS, BOTH, range(6)), rtol=0, atol=1e-12)
    assert found.dtype == np.float64


def test_tfidf_against_its_formula_with_frequencies_from_distinct_train_sentences():
    splits = ["train", "train", "test", "test", "test", "test"]  # sentences 0, 1, 2; sentence 1 is in two pairs and counts once
    found = baselines.tfidf(*table_of(TEXTS, BOTH, splits))
    np.testing.assert_allclose(found, slow_tfidf(TEXTS, BOTH, range(3)), rtol=0, atol=1e-12)
    assert found[3] == 0  # a word that train does not have is no vector at all
    assert not np.allclose(found, slow_tfidf(TEXTS, BOTH, range(6)))


def test_overlap_gives_a_score_a_pair_for_every_measure():
    result = baselines.run(Baseline(kind="overlap"), "overlap", *table_of(TEXTS, BOTH))
    assert list(result.scores) == ["dice", "jaccard", "char4", "tfidf"]
    assert result.scores["dice"].tolist() == [baselines.dice(TEXTS[i], TEXTS[j]) for i, j in BOTH]
    assert result.scores["jaccard"].tolist() == [baselines.jaccard(TEXTS[i], TEXTS[j]) for i, j in BOTH]
    assert result.scores["char4"].tolist() == [baselines.char4(TEXTS[i], TEXTS[j]) for i, j in BOTH]
    assert result.vectors is None


def test_random_vectors_by_definition():
    found = vectors_of(["cat Cat dog"], kind="random", dim=5, seed=3)
    drawn = {word: np.random.default_rng([3, zlib.crc32(word.encode())]).standard_normal(5, dtype=np.float32) for word in ("cat", "dog")}
    np.testing.assert_allclose(found[0], (2 * drawn["cat"] + drawn["dog"]) / 3, rtol=1e-6)
    assert found.dtype == np.float32


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
    assert np.array_equal(vectors_of([TEXTS[i] for i in order], kind="random", dim=20), vectors_of(TEXTS, kind="random", dim=20)[order])


def test_random_vectors_are_standard_normal():
    words = " ".join(f"word{i}" for i in range(400))
    drawn = vectors_of(words.split(), kind="random", dim=100)
    assert drawn.mean() == pytest.approx(0, abs=4 / math.sqrt(drawn.size))  # four standard errors
    assert drawn.var() == pytest.approx(1, abs=4 * math.sqrt(2 / drawn.size))


@pytest.mark.parametrize(("field", "value", "low"), [("dim", 0, 1), ("dim", -1, 1), ("seed", -1, 0)])
def test_random_vectors_out_of_range_are_refused(field, value, low):
    with pytest.raises(ValueError, match=rf"{field} is {value}, expected at least {low}"):
        vectors_of(["the cat"], kind="random", **{field: value})


GLOVE = "the 1 0 0\ncat 0 2 0\n, 0 0 4\nunused 9 9 9\n"


def glove(tmp_path, text=GLOVE, name="vectors.txt"):
    opener = gzip.open if name.endswith(".gz") else open
    with opener(tmp_path / name, "wt", encoding="utf-8") as file:
        file.write(text)
    return str(tmp_path / name)


@pytest.mark.parametrize("name", ["vectors.txt", "vectors.txt.gz"])
def test_word_vectors_are_averaged_by_hand_with_zeros_for_unknown_words(tmp_path, name):
    texts = ["The cat", "the the cat ,", "cat quagga", "quagga zebra"]
    result = baselines.run(Baseline(kind="vectors", path=glove(tmp_path, name=name)), "g", *table_of(texts, [(0, 1), (2, 3)]))
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
    known, dim = baselines.read_vectors(glove(tmp_path), {"cat", "zebra"})
    assert known.keys() == {"cat"}
    assert known["cat"].tolist() == [0, 2, 0]
    assert dim == 3


def test_a_last_line_without_a_newline_is_read(tmp_path):
    assert baselines.read_vectors(glove(tmp_path, "the 1 0\ncat 0 2"), {"cat"})[0]["cat"].tolist() == [0, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("the 1 0 0\ncat 0 2\n", r"vectors\.txt, line 2: 2 numbers after 'cat', expected 3 as in the first line"),
        ("the 1 0\nzebra 0 2 3\n", r"vectors\.txt, line 2: 3 numbers after 'zebra', expected 2 as in the first line"),
        ("the 1 0\n\ncat 0 2\n", r"vectors\.txt, line 2: 0 numbers after '', expected 2"),
        ("the 1 0\ncat 0 x\n", r"vectors\.txt, line 2: the vector of 'cat' is not 2 numbers"),
        ("", r"vectors\.txt holds no word vectors: expected lines of a word and its numbers"),
        ("the\ncat\n", r"vectors\.txt holds no word vectors: expected lines of a word and its numbers"),
    ],
)
def test_a_malformed_file_of_vectors_is_refused_with_the_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        baselines.read_vectors(glove(tmp_path, text), {"the", "cat"})


@pytest.mark.parametrize("fields", [{}, {"path": "a.txt", "url": "https://example.org/a.txt"}])
def test_word_vectors_come_from_exactly_one_place(fields):
    with pytest.raises(ValueError, match=r"baseline b has (no source|path and url): give exactly one of path, url"):
        vectors_of(["the cat"], kind="vectors", **fields)


def test_written_vectors_read_back_and_are_scored_like_a_models(tmp_path):
    table, sentences = table_of(TEXTS, BOTH)
    result = baselines.run(Baseline(kind="random", dim=20), "random", table, sentences)
    baselines.write(tmp_path / "random", "random", result)
    info, numbers = vectors.read_info(tmp_path / "random" / "vectors.parquet")
    assert numbers == [0]
    assert info == {"encoder": "random", "pooling": "mean", "layers": False}
    assert np.array_equal(vectors.read_layer(tmp_path / "random" / "vectors.parquet", 0), result.vectors)
    assert json.loads((tmp_path / "random" / "info.json").read_text()) == {"encoder": "random", "dim": 20, "seed": 0}
    rows = scoring.score_encoder(tmp_path / "random", table.with_columns(label=pl.lit(1.0)), scoring.Score(["cosine"], ["none"]))
    assert rows["layer"].to_list() == [None] * 6
    assert rows["score"][3] == pytest.approx(1, abs=1e-12)  # quagga with itself


def test_written_scores_read_back(tmp_path):
    table, sentences = table_of(TEXTS, BOTH)
    result = baselines.run(Baseline(kind="overlap"), "overlap", table, sentences)
    baselines.write(tmp_path / "overlap", "overlap", result)
    found = pl.read_parquet(tmp_path / "overlap" / "scores.parquet")
    assert {name: found[name].to_list() for name in found.columns} == {name: scores.tolist() for name, scores in result.scores.items()}
    assert not (tmp_path / "overlap" / "vectors.parquet").exists()


@pytest.fixture(scope="module")
def mrpc(testdata):
    """Pairs of GLUE's MRPC with the cosines of averaged GloVe vectors and the overlap of words."""
    columns = {"sentence1": "glue_sentence1", "sentence2": "glue_sentence2"}
    entry = Dataset(path=str(testdata / "mrpc.parquet"), columns=columns)
    table, sentences, _ = pairs.prepare(entry, "mrpc", pairs.Prepare(limit=None))
    glove = baselines.run(Baseline(kind="vectors", path=str(testdata / "glove.6B.50d.trimmed.txt")), "glove", table, sentences)
    texts = sentences["text"].to_list()
    dice = [baselines.dice(texts[i], texts[j]) for i, j in table.select("sentence1_id", "sentence2_id").iter_rows()]
    cosines = scoring.score_pairs(glove.vectors, table["sentence1_id"].to_numpy(), table["sentence2_id"].to_numpy(), "cosine")
    return table.with_columns(glove=pl.Series(cosines), dice=pl.Series(dice)), glove.info


@pytest.mark.parametrize(
    ("measure", "split", "rows", "expected"), [("glove", "validation", 408, 0.4326), ("glove", "train", 1000, 0.3876), ("dice", "validation", 408, 0.4458)]
)
def test_correlations_on_mrpc_are_the_known_ones(mrpc, measure, split, rows, expected):
    part = mrpc[0].filter(pl.col("split") == split)[:rows]
    assert len(part) == rows
    assert round(spearmanr(part[measure], part["label"]).statistic, 4) == expected


def test_glove_covers_almost_all_words_of_mrpc(mrpc):
    assert mrpc[1]["dim"] == 50
    assert 0.95 < mrpc[1]["coverage"] < 1
    assert mrpc[1]["sentences_without_a_known_word"] == 0
