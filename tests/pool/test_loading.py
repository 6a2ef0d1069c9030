"""The lines of docs/howto/loading.md that load vectors, as printed there; and Hugging Face datasets."""

import re
from pathlib import Path

import numpy as np
import pytest

from pipeline.formats import vectors
from pipeline.pool.inputs import Inputs
from pipeline.pool.names import MEAN
from pipeline.pool.run import pool
from pipeline.storage.pointers import put_away
from tests.helpers import ROOT
from tests.pool.dumps import draw_states, write_tokens


def test_the_lines_of_the_documentation_load_the_vectors(tmp_path, rng):
    """With this file's path, width and layer put in."""
    import datasets
    import duckdb
    import pandas
    import polars

    path = tmp_path / "v.parquet"
    pool(write_tokens(tmp_path / "states", draw_states(rng)), MEAN, path, "m", Inputs())
    exact = vectors.read(path, "pool@m").layer(1)
    page = ROOT / "docs/howto/loading.md"
    if not page.exists():
        pytest.skip(f"{page} is not written yet")
    text = page.read_text()
    lines = [line for line in text.splitlines() if re.match(r"(polars|pandas|duckdb)\..*data/pooled/.*layer_03", line)]
    assert [line.split(".")[0] for line in lines] == ["polars", "pandas", "duckdb"]
    lines = [re.sub(r"data/pooled/[^\"']+", str(path), line) for line in lines]
    lines = [line.replace("[192]", "[8]").replace("layer_03", "layer_01") for line in lines]
    libraries = {"polars": polars, "pandas": pandas, "duckdb": duckdb}
    in_polars, in_pandas, in_duckdb = (eval(line, libraries) for line in lines)
    in_datasets = datasets.Dataset.from_parquet(str(path), cache_dir=str(tmp_path)).sort("sentence_id")["layer_01"][:]
    assert np.array_equal(in_polars, exact)
    assert np.array_equal(np.stack(in_pandas.sort_index()), exact)
    assert np.array_equal(np.array([vector for _, vector in sorted(in_duckdb.fetchall())], dtype=np.float32), exact)
    assert np.array_equal(np.array(in_datasets, dtype=np.float32), exact)


@pytest.mark.parametrize("store", ["float16", "int8"])
def test_the_lines_of_the_documentation_give_float32_back(store, tmp_path, rng, monkeypatch):
    """Every library reads the stored numbers; what is printed for int8 makes vectors of them."""
    import duckdb
    import pandas
    import polars
    import pyarrow.parquet

    monkeypatch.chdir(tmp_path)
    path = "data/pooled/demo/vectors.parquet"
    pool(write_tokens(tmp_path / "states", draw_states(rng, layers=4)), MEAN, path, "demo", Inputs(), store=store)
    exact = vectors.read(path, "pool@demo").layer(3)
    in_polars = polars.read_parquet(path)["layer_03"].to_numpy()
    assert in_polars.dtype == store
    assert np.array_equal(np.stack(pandas.read_parquet(path)["layer_03"]), in_polars)
    assert np.array_equal(np.stack(pyarrow.parquet.read_table(path)["layer_03"].to_numpy()), in_polars)
    in_duckdb = duckdb.sql(f"from '{path}' select layer_03::float[8] as v order by sentence_id").fetchnumpy()["v"]
    assert np.array_equal(np.stack(in_duckdb), in_polars.astype(np.float32))
    page = (ROOT / "docs/howto/loading.md").read_text()
    (printed,) = re.findall(
        r"<!-- not run: tests/pool/test_loading.py runs it -->\n```python\n(.*?)```", page, re.DOTALL
    )
    if store == "int8":
        names = {}
        exec(printed, names)
        assert names["layer"].dtype == np.float32
        assert np.array_equal(names["layer"], exact)
    else:
        assert np.array_equal(in_polars.astype("float32"), exact)


def test_the_lines_of_the_documentation_load_vectors_from_a_store(tmp_path, rng, monkeypatch, memory):
    monkeypatch.chdir(tmp_path)
    path = "data/pooled/demo/vectors.parquet"
    pool(write_tokens(tmp_path / "states", draw_states(rng, layers=4)), MEAN, path, "demo", Inputs())
    exact = vectors.read(path, "pool@demo").layer(3)
    monkeypatch.setenv("DRILLCORE_STORE", memory)
    put_away(Path(path), "pooled")
    page = (ROOT / "docs/howto/loading.md").read_text()
    (printed,) = re.findall(r"## From a bucket\n.*?```python\n(.*?)```", page, re.DOTALL)
    names = {}
    exec(printed, names)
    assert np.array_equal(names["layer"], exact)
