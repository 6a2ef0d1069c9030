"""The texts of a file of sentences against a list of them."""

import pickle

import polars as pl
import pytest

from pipeline.base.errors import InputError
from pipeline.formats import pairs, parquet

NO_PAIRS = pl.DataFrame(schema={name: pl.Int64 for name in pairs.PAIRS}).cast({"label": pl.Float64, "split": pl.String})


@pytest.fixture
def write(tmp_path, monkeypatch):
    """A function: texts, and their ids, in row groups of 7 -> a file."""
    monkeypatch.setattr(pairs, "ROWS", 7)

    def write_texts(texts, ids=None):
        table = pl.DataFrame({"sentence_id": range(len(texts)) if ids is None else ids, "text": texts})
        pairs.write(tmp_path, NO_PAIRS, table.cast({"sentence_id": pl.Int64}), {})
        return tmp_path / "sentences.parquet"

    return write_texts


def test_texts_are_those_of_the_file_in_any_order(write, rng):
    given = [f"{number} é" for number in rng.integers(0, 99, 24).tolist()]
    texts = pairs.Texts(write(given))
    assert len(texts) == 24
    assert list(texts) == given
    at = rng.integers(-24, 24, 50).tolist()
    assert [texts[i] for i in at] == [given[i] for i in at]
    assert list(pickle.loads(pickle.dumps(texts))) == given
    with pytest.raises(IndexError):
        texts[24]


def test_one_row_group_is_in_memory(write, monkeypatch):
    texts, read = pairs.Texts(write(["a"] * 24)), []
    whole = parquet.read_columns
    monkeypatch.setattr(parquet, "read_columns", lambda *given: read.append(given[-1]) or whole(*given))
    list(texts)
    assert read == [0, 1, 2, 3]
    assert len(pickle.dumps(texts)) < 300, "another process opens the file"


def test_sentences_in_another_order_are_refused(write):
    with pytest.raises(InputError, match=r"sentence ids that are not 0, 1, \.\.\. in order.*prepare"):
        pairs.Texts(write(["a", "b", "c"], [0, 2, 1]))
    with pytest.raises(InputError, match=r"has no rows"):
        pairs.Texts(write([]))


def test_a_sentence_without_text_is_refused_when_it_is_read(write):
    texts = pairs.Texts(write(["a"] * 10 + [None]))
    assert texts[0] == "a"
    with pytest.raises(InputError, match=r"has a sentence without text.*prepare"):
        texts[7]
