"""The block of Python in docs/howto/states.md, on states with a common offset that were written here."""

import re

import numpy as np
import polars as pl

from pipeline.formats import pairs, vectors
from tests.helpers import ROOT, pairs_table


def test_the_mean_cosine_before_and_after_a_correction(tmp_path, monkeypatch, capsys, rng):
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/howto/states.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    table = pairs_table([0, 1] * 50, ["train"] * 80 + ["test"] * 20)
    sentences = pl.DataFrame({"sentence_id": np.arange(200), "text": [f"sentence {i}" for i in range(200)]})
    pairs.write("data/pairs", table, sentences, {"subsets": {}})
    states = rng.standard_normal((200, 300)) + 10 * rng.standard_normal(300)
    folder = tmp_path / "data/pooled/demo-state"
    folder.mkdir(parents=True)
    vectors.write(folder / "vectors.parquet", {2: states}, vectors.Info("demo-state", "state", True))
    exec(compile(block, "states.md", "exec"), {})
    found = {name: float(value) for name, value in re.findall(r"(\w+) (-?[\d.]+)", capsys.readouterr().out)}
    assert list(found) == ["none", "centre", "whitening_64"]
    assert found["none"] > 0.95
    assert abs(found["centre"]) < 0.05 > abs(found["whitening_64"])
