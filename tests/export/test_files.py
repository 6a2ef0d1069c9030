"""A layer in files of other tools is read back as the vectors that the stage pool wrote."""

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from pipeline.base.errors import InputError
from pipeline.export import files
from pipeline.formats import pairs, vectors

TEXTS = ["plain", "tab\tand\nnewline", "Ünïcode ☃", ""]


@pytest.fixture
def exact(tmp_path, monkeypatch, rng):
    """{layer: (S, D)} in data/pooled/m, layers 0, 2 and 5."""
    monkeypatch.chdir(tmp_path)
    layers = {layer: rng.standard_normal((len(TEXTS), 3), dtype=np.float32) * 1e3 for layer in (0, 2, 5)}
    (tmp_path / "data/pooled/m").mkdir(parents=True)
    vectors.write("data/pooled/m/vectors.parquet", layers, vectors.Info("m", "mean", True))
    sentences = pl.DataFrame({"sentence_id": range(len(TEXTS)), "text": TEXTS})
    ids = {"pair_id": [0], "split": ["test"], "idx": [0], "sentence1_id": [0], "sentence2_id": [1], "label": [1.0]}
    pairs.write("data/pairs", pl.DataFrame(ids | {"component": [0]}), sentences, {})
    return layers


@pytest.mark.parametrize(("asked", "number"), [(0, 0), (5, 5), (-1, 5), (-2, 2)])
def test_numpy_and_the_projectors_tsv_give_back_every_digit(exact, tmp_path, asked, number):
    written, pooling, found = files.export("m", asked, tmp_path / "x.npy")
    assert (written, pooling, found) == ([tmp_path / "x.npy"], "mean", number)
    assert np.array_equal(np.load(tmp_path / "x.npy"), exact[number])
    written, _, _ = files.export("m", asked, tmp_path / "x.tsv")
    assert np.array_equal(np.loadtxt(written[0], delimiter="\t", dtype=np.float32), exact[number])
    assert written[1].read_text().split("\n") == ["plain", "tab and newline", "Ünïcode ☃", "", ""]


def test_parquet_has_the_text_beside_the_vector(exact, tmp_path):
    files.export("m", 2, tmp_path / "x.parquet")
    table = pl.read_parquet(tmp_path / "x.parquet")
    assert table.columns == ["sentence_id", "text", "vector"]
    assert table["text"].to_list() == TEXTS
    assert np.array_equal(table["vector"].to_numpy(), exact[2])
    other = pq.read_table(tmp_path / "x.parquet")
    assert str(other.schema.field("vector").type) == "fixed_size_list<element: float>[3]"
    assert np.array_equal(np.stack(other["vector"].to_pylist()).astype(np.float32), exact[2])


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("m", 1, "x.npy"), "layer 1 of m is not there: it has 0, 2, 5"),
        (("m", -4, "x.npy"), "layer -4 of m is not there"),
        (("m", 0, "x.nyp"), r"the ending of x.nyp is '.nyp': did you mean .npy\?"),
        (("m", 0, "x.npy", "last"), "holds mean, not last: run dvc exp run -S pooling=last first"),
        (("n", 0, "x.npy"), "data/pooled/n/vectors.parquet is not there"),
    ],
)
def test_what_is_not_there_is_said(exact, tmp_path, words, complaint):
    model, layer, name, *pooling = words
    with pytest.raises(InputError, match=complaint):
        files.export(model, layer, type(tmp_path)(name), *pooling)
    assert not list(tmp_path.glob("x*"))
