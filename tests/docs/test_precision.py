"""The script behind docs/results/precision.csv, on vectors with one outlying dimension."""

import importlib.util
import sys

import numpy as np
import polars as pl
import pytest
from scipy.stats import spearmanr

from pipeline.formats import pairs, vectors
from tests.helpers import ROOT, pairs_table

PAIRS = 60


@pytest.fixture
def script(monkeypatch):
    spec = importlib.util.spec_from_file_location("precision_script", ROOT / "docs/results/precision.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "RESAMPLES", 200)
    return module


def cosine_of_pairs(rows):
    first, second = rows[0::2].astype(np.float64), rows[1::2].astype(np.float64)
    return (first * second).sum(axis=1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)


def test_changes_are_those_of_the_definition_and_one_scale_a_vector_is_worse(script, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    grades = np.linspace(-1, 1, PAIRS)
    rows = np.zeros((2 * PAIRS, 3), np.float32)
    rows[0::2, 0], rows[1::2, 0], rows[1::2, 1] = 1, grades, np.sqrt(1 - grades**2)
    rows[:, 2] = 100
    split = ["train"] * 10 + ["test"] * (PAIRS - 10)
    table = pairs_table(grades.tolist(), split, np.arange(0, 2 * PAIRS, 2), np.arange(1, 2 * PAIRS, 2))
    sentences = pl.DataFrame({"sentence_id": range(2 * PAIRS), "text": [f"sentence {i}" for i in range(2 * PAIRS)]})
    pairs.write(tmp_path / "data/pairs", table, sentences, {"subsets": {}})
    path = tmp_path / "data/pooled/toy/vectors.parquet"
    path.parent.mkdir(parents=True)
    vectors.write(path, {2: rows}, vectors.Info("toy", "mean", True))
    monkeypatch.setattr(sys, "argv", ["precision.py", "--models", "toy"])
    script.main()
    (tmp_path / "out.csv").write_text(capsys.readouterr().out)
    found = pl.read_csv(tmp_path / "out.csv").filter(correction="none")
    assert found["store"].to_list() == ["float16", "int8", "int8 by vector"]
    of_dimension, of_vector = np.abs(rows).max(axis=0) / 127, np.abs(rows).max(axis=1, keepdims=True) / 127
    rounded = [rows.astype(np.float16)]
    rounded += [np.rint(rows.astype(np.float64) / scale) * scale for scale in (of_dimension, of_vector)]
    test = np.array(split) == "test"
    for change, by_definition in zip(found["change"], rounded):
        expected = spearmanr(cosine_of_pairs(by_definition)[test], grades[test]).statistic
        exact = spearmanr(cosine_of_pairs(rows)[test], grades[test]).statistic
        assert change == pytest.approx(expected - exact, abs=1e-6)
    changes = dict(zip(found["store"], found["change"].abs()))
    assert changes["float16"] <= changes["int8"] < 0.1 * changes["int8 by vector"]
    script.draw(pl.read_csv(tmp_path / "out.csv"), tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000
