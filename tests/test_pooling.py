import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline import pooling, scratch, shards, vectors
from pipeline.pooling import POOLINGS

COUNTING = np.array([[1, -1], [2, -2], [3, -3], [6, -6]], dtype=np.float32)  # T = 4, D = 2


def write(folder, states, store="float16", sentences_a_batch=3):
    """{sentence_id: [(T, D) a layer]} -> shards of two batches each, by the library's own writer."""
    first = next(iter(states.values()))
    schema = shards.schema(range(len(first)), first[0].shape[1], store)
    folder.mkdir()
    names = list(states)
    batches = []
    for i in range(0, len(names), sentences_a_batch):
        part = names[i : i + sentences_a_batch]
        lengths = [len(states[name][0]) for name in part]
        layers = [np.concatenate([states[name][layer] for name in part]).astype(shards.STORES[store]) for layer in range(len(first))]
        positions = np.concatenate([np.arange(n, dtype=np.int32) for n in lengths])
        batches.append(shards.record_batch([np.repeat(np.array(part), lengths), positions, *layers], schema))
    for i in range(0, len(batches), 2):
        shard = scratch.Shard(folder / f"shard-{i:05d}.arrow", schema)
        for batch in batches[i : i + 2]:
            shard.writer.write_batch(batch)
        shard.finish()


@pytest.fixture
def states():
    rng = np.random.default_rng()
    return {int(i): [rng.standard_normal((t, 8)).astype(np.float16) for _ in range(3)] for i, t in zip(rng.permutation(17), rng.integers(1, 12, 17))}


BY_HAND = {  # of COUNTING; add a row for a new pooling
    "mean": [3, -3],
    "last": [6, -6],
    "first": [1, -1],
    "max": [6, -1],
    "norm_mean": [(1 * 1 + 2 * 2 + 3 * 3 + 6 * 6) / 12, -(1 * 1 + 2 * 2 + 3 * 3 + 6 * 6) / 12],
    "last_2": [4.5, -4.5],
    "last_9": [3, -3],
    "skip_first": [11 / 3, -11 / 3],
    "mean_max": [3, -3, 6, -1],
    "weighted_mean": [(1 * 1 + 2 * 2 + 3 * 3 + 4 * 6) / 10, -(1 * 1 + 2 * 2 + 3 * 3 + 4 * 6) / 10],
}


def by_name(name):
    """A pooling that needs nothing but states, by its name: (..., T, D) -> (..., D)."""
    entry, numbers = pooling.parse(name)
    return lambda h: POOLINGS[entry](h, *numbers)


def test_every_entry_is_tested():
    assert {pooling.parse(name)[0] for name in BY_HAND} == set(POOLINGS)


@pytest.mark.parametrize("name", BY_HAND)
def test_poolings_by_hand(name):
    assert by_name(name)(COUNTING) == pytest.approx(np.array(BY_HAND[name], dtype=float))


@pytest.mark.parametrize("name", BY_HAND)
def test_one_token_is_pooled_to_itself(name):
    assert np.array_equal(by_name(name)(COUNTING[2:3]), np.tile(COUNTING[2], 2 if name == "mean_max" else 1))


def test_zeros_have_no_norm():
    assert POOLINGS["norm_mean"](np.zeros((4, 3), dtype=np.float32)).tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", BY_HAND)
def test_a_stack_of_sentences_is_pooled_one_by_one(name):
    h = np.random.default_rng().standard_normal((5, 7, 3)).astype(np.float32)
    assert by_name(name)(h) == pytest.approx(np.stack([by_name(name)(one) for one in h]), rel=1e-5)


@pytest.mark.parametrize("name", BY_HAND)
@pytest.mark.parametrize("store", ["float16", "float32"])
def test_vectors_of_shards_equal_float64_pooling_of_each_sentence(tmp_path, states, name, store, monkeypatch):
    monkeypatch.setattr(pooling, "ROW_GROUP", 5)
    write(tmp_path / "states", states, store)
    pooling.pool(tmp_path / "states", name, tmp_path / "v.parquet", {"encoder": "e", "pooling": name})
    assert pq.ParquetFile(tmp_path / "v.parquet").num_row_groups > 1
    info, numbers = vectors.read_info(tmp_path / "v.parquet")
    assert (info["encoder"], numbers) == ("e", [0, 1, 2])
    for layer in numbers:
        found = vectors.read_layer(tmp_path / "v.parquet", layer)
        assert found.dtype == np.float32
        for i, layers in states.items():
            exact = by_name(name)(layers[layer].astype(np.float64))
            assert np.abs(found[i] - exact).max() <= 1e-5


def test_sums_are_not_taken_in_float16(tmp_path):
    """Sixty thousand-ish states: their sum passes float16's range, their mean does not."""
    write(tmp_path / "states", {0: [np.full((50, 4), 60000, dtype=np.float16)]})
    pooling.pool(tmp_path / "states", "mean", tmp_path / "v.parquet", {})
    assert vectors.read_layer(tmp_path / "v.parquet", 0).tolist() == [[60000.0] * 4]


def test_no_token_of_another_sentence_is_pooled(tmp_path, states):
    """Poison: one sentence's states are infinite; no other vector may notice."""
    poisoned = next(iter(states))
    states[poisoned] = [np.full_like(layer, np.inf) for layer in states[poisoned]]
    write(tmp_path / "states", states)
    for name in BY_HAND:
        with np.errstate(invalid="ignore"):  # infinity by infinity, on purpose
            pooling.pool(tmp_path / "states", name, tmp_path / "v.parquet", {})
        found = vectors.read_layer(tmp_path / "v.parquet", 1)
        assert [i for i in range(17) if not np.isfinite(found[i]).all()] == [poisoned]


def test_missing_and_repeated_sentences_are_refused(tmp_path):
    vectors.write(tmp_path / "v.parquet", [0, 2, 2], {0: np.zeros((3, 2), dtype=np.float32)}, {})
    with pytest.raises(ValueError, match="sentence ids are not 0 to 2"):
        vectors.read_layer(tmp_path / "v.parquet", 0)


def test_an_empty_folder_is_refused_and_nothing_is_written(tmp_path):
    (tmp_path / "states").mkdir()
    with pytest.raises(FileNotFoundError, match="run the dump stage"):
        pooling.pool(tmp_path / "states", "mean", tmp_path / "v.parquet", {})
    assert not (tmp_path / "v.parquet").exists()


def test_the_lines_of_the_readme_load_the_vectors(tmp_path, states):
    """Polars, pandas and DuckDB as printed there, with this file's path and size put in; and Hugging Face datasets."""
    import datasets
    import duckdb
    import pandas
    import polars

    write(tmp_path / "states", states)
    file = tmp_path / "v.parquet"
    pooling.pool(tmp_path / "states", "mean", file, {})
    readme = (Path(__file__).parents[1] / "README.md").read_text().split("## Load the embeddings")[1]
    block = re.search(r"```python\n(.*?)```", readme, re.S)[1]
    lines = [re.sub(r"data/pooled/[^\"']+", str(file), line).replace("[192]", "[8]").replace("layer_03", "layer_01") for line in block.splitlines()]
    assert [line.split(".")[0] for line in lines] == ["polars", "pandas", "duckdb"]
    in_polars, in_pandas, in_duckdb = (eval(line, {"polars": polars, "pandas": pandas, "duckdb": duckdb}) for line in lines)
    in_datasets = datasets.Dataset.from_parquet(str(file), cache_dir=str(tmp_path)).sort("sentence_id")["layer_01"][:]
    exact = vectors.read_layer(file, 1)
    assert np.array_equal(in_polars, exact)
    assert np.array_equal(np.stack(in_pandas.sort_index()), exact)
    assert np.array_equal(np.array([vector for _, vector in sorted(in_duckdb.fetchall())], dtype=np.float32), exact)
    assert np.array_equal(np.array(in_datasets, dtype=np.float32), exact)
