"""The script behind docs/results/first-token.csv, on a dump in which the first token of every sentence was planted."""

import importlib.util
import sys

import numpy as np
import polars as pl
import pytest

from pipeline.formats import manifest, pairs
from tests.helpers import ROOT, pairs_table
from tests.pool.dumps import manifest_of, write_statistics, write_tokens

PAIRS = 40


@pytest.fixture
def script(monkeypatch):
    spec = importlib.util.spec_from_file_location("first_token", ROOT / "docs/results/first_token.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "RESAMPLES", 200)
    return module


def planted(rng):
    """Pairs whose grade is the cosine of their sentences' means without the first token; and their states.

    At layer 0 the first token is like the others. At layer 1 it is 1,000 times as long, and points anywhere.
    """
    grades = np.linspace(-1, 1, PAIRS)
    drawn = {}
    for pair, grade in enumerate(grades):
        first = np.array([1.0, 0.0, 0.0, 0.0])
        second = np.array([grade, np.sqrt(1 - grade**2), 0.0, 0.0])
        for sentence, vector in ((2 * pair, first), (2 * pair + 1, second)):
            h = np.tile(vector, (6, 1)).astype(np.float32)
            sink = h.copy()
            direction = rng.standard_normal(4)
            sink[0] = 1000 * direction / np.linalg.norm(direction)
            drawn[sentence] = [h, sink]
    return drawn, pairs_table(grades, ["test"] * PAIRS)


@pytest.fixture
def project(tmp_path, rng, monkeypatch):
    monkeypatch.chdir(tmp_path)
    drawn, table = planted(rng)
    sentences = pl.DataFrame({"sentence_id": range(2 * PAIRS), "text": [f"no. {i}" for i in range(2 * PAIRS)]})
    pairs.write("data/pairs", table, sentences, {"subsets": {}})
    for model, write in (("whole", write_tokens), ("reduced", write_statistics)):
        dump = write(tmp_path / f"data/states/{model}", drawn, "float32")
        manifest.write(f"data/manifests/{model}.json", manifest_of(dump, model, drawn))


def test_leaving_the_planted_token_out_gives_back_the_order_of_the_grades(project, script, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["first_token.py", "--models", "whole", "reduced"])
    script.main()
    table = pl.read_csv(capsys.readouterr().out.encode())
    assert table.select("model", "layer").rows() == [(m, layer) for m in ("whole", "reduced") for layer in (0, 1)]
    plain, swamped = (table.filter(layer=layer) for layer in (0, 1))
    assert plain["share"].to_list() == plain["largest"].to_list() == plain["even"].to_list() == [0.1667] * 2
    assert (swamped["share"] > 0.999).all()
    assert (swamped["largest"] > 0.999).all()
    assert swamped["largest_first"].to_list() == [1.0, 1.0]
    assert table["rho_skip_first"].to_list() == pytest.approx([1.0] * 4)
    assert plain["rho_mean"].to_list() == pytest.approx([1.0] * 2)
    assert (swamped["rho_mean"] < 0.9).all()  # of random directions: 0 +- 0.16
    assert table.filter(model="whole")["rho_skip_outliers"].to_list() == pytest.approx([1.0, 1.0])
    assert (table.filter(model="whole", layer=1)["skip_outliers_difference"] > 0.1).all()
    assert table.filter(model="reduced")["rho_skip_outliers"].null_count() == 2
