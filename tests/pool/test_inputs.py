from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pipeline.base.errors import InputError
from pipeline.formats import fits, pairs, tokens
from pipeline.pool.inputs import Files, Inputs
from pipeline.pool.names import Pooling
from pipeline.pool.weighted import token_weights
from tests.helpers import pairs_table

IDS = [np.array(ids, np.int32) for ids in ([1, 2], [2], [3, 3, 1], [4], [5, 1], [6])]
MANIFEST = {"sentences": 6, "tokens": 10}


@pytest.fixture
def files(tmp_path):
    table = pairs_table([0, 1, 1], splits=["train", "train", "test"])
    sentences = pl.DataFrame({"sentence_id": np.arange(6), "text": list("abcdef")})
    pairs.write(tmp_path / "pairs", table, sentences, {})
    order = np.array([3, 0, 1, 2, 4, 5])
    ids = [IDS[i] for i in order]
    pieces = dict.fromkeys(np.concatenate(ids).tolist(), "x")
    tokens.write(tmp_path / "m.parquet", tokens.Tokens("m", order, ids, pieces, np.zeros(6, bool), {}))
    report = {"model": "m", "settings": {}, "layers": [0], "poolings": {"attention": {}}}
    fits.write(tmp_path / "fits", {"attention": np.ones((2, 1, 3), np.float32)}, np.array([0]), report)
    return Files(tmp_path / "m.parquet", tmp_path / "pairs/pairs.parquet", tmp_path / "fits")


def parse(*names):
    return [Pooling.parse(name) for name in names]


def test_weights_are_counted_in_the_sentences_of_train(files):
    inputs = files.read(parse("idf_mean", "mean", "sif"), "m", MANIFEST)
    assert inputs.train.tolist() == [0, 1, 2, 3]
    expected = token_weights(np.arange(6), IDS, np.arange(4), ["idf_mean", "sif"])
    assert inputs.weights.keys() == expected.keys()
    for name, weights in inputs.weights.items():
        assert list(map(list, weights)) == list(map(list, expected[name]))
    assert inputs.fits == {}


def test_weights_are_those_of_the_tokens_that_are_pooled_and_counted_in_them(files):
    order, ids = np.arange(6), [np.concatenate([[90, 91], array, [92]]).astype(np.int32) for array in IDS]
    pieces = dict.fromkeys(np.concatenate(ids).tolist(), "x")
    spans = np.array([[2, len(array) - 1] for array in ids])
    tokens.write(files.tokens, tokens.Tokens("m", order, ids, pieces, np.zeros(6, bool), {}, spans=spans))
    inputs = files.read(parse("idf_mean", "sif"), "m", MANIFEST)
    expected = token_weights(np.arange(6), IDS, np.arange(4), ["idf_mean", "sif"])
    for name, weights in inputs.weights.items():
        assert list(map(list, weights)) == list(map(list, expected[name]))


def test_files_that_no_pooling_needs_are_not_opened(files):
    nowhere = Path("/nowhere")
    assert Files(nowhere, nowhere, nowhere).read(parse("mean", "layers_0_1"), "m", MANIFEST) == Inputs()
    learned = Files(nowhere, nowhere, files.fits).read(parse("attention_1"), "m", MANIFEST)
    assert learned.learned(Pooling.parse("attention_1"))[0].tolist() == [1, 1, 1]


@pytest.mark.parametrize(("sentences", "count"), [(5, 10), (6, 11)])
def test_tokens_of_other_sentences_than_those_of_the_dump_are_refused(files, sentences, count):
    message = rf"holds 10 tokens of 6 sentences, but the states are of {count} of {sentences}: .*tokenize@m"
    with pytest.raises(InputError, match=message):
        files.read(parse("sif"), "m", {"sentences": sentences, "tokens": count})


@pytest.mark.parametrize(("name", "runs"), [("attention", 0), ("attention_1", 1), ("scalar_mix_7", 0)])
def test_what_was_not_fitted_is_refused_with_the_remedy(name, runs):
    inputs = Inputs(fits={"attention": {0: {}}} if runs else {})
    message = rf"pooling {name} was not fitted \({runs} runs of .*fit.poolings and fit.runs in params.yaml say what is"
    with pytest.raises(InputError, match=message):
        inputs.learned(Pooling.parse(name))
