import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

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


def test_idf_by_scikit_learn_and_bert_scores_smoothing():
    """ln((N + 1) / (n + 1)), which is scikit-learn's smooth idf less 1; a token that train does not hold has the largest."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    rng = np.random.default_rng()
    ids = [rng.integers(0, 12, rng.integers(1, 9)).astype(np.int32) for _ in range(30)]
    train = np.arange(20)
    oracle = TfidfVectorizer(analyzer=lambda one: one.tolist(), lowercase=False, vocabulary={i: i for i in range(12)}).fit(ids[:20]).idf_ - 1
    found = pooling.token_weights(np.arange(30), ids, train, ["idf_mean"])["idf_mean"]
    for i, one in enumerate(ids):
        assert found[i] == pytest.approx(oracle[one], rel=1e-6, abs=1e-7)


def test_sif_weights_by_counting():
    ids = [np.array([1, 1, 2], np.int32), np.array([1, 3], np.int32), np.array([2, 5], np.int32)]
    found = pooling.token_weights(np.array([7, 8, 9]), ids, np.array([7, 8]), ["sif", "mean"])
    assert list(found) == ["sif"]
    assert found["sif"][7] == pytest.approx([0.001 / (0.001 + 0.6)] * 2 + [0.001 / 0.201])
    assert found["sif"][9] == pytest.approx([0.001 / 0.201, 1])  # train has no token 5


def test_weights_of_test_sentences_count_nothing():
    rng = np.random.default_rng()
    ids = [rng.integers(0, 9, 5).astype(np.int32) for _ in range(10)]
    other = ids[:6] + [np.full(5, 8, np.int32)] * 4
    for name in pooling.WEIGHTED:
        found, changed = (pooling.token_weights(np.arange(10), one, np.arange(6), [name])[name] for one in (ids, other))
        assert all(np.array_equal(found[i], changed[i]) for i in range(6))


def test_weighted_poolings_by_hand():
    weights = np.array([0.0, 1.0, 3.0, 0.0], dtype=np.float32)
    assert pooling.idf_mean(COUNTING, weights) == pytest.approx(np.array([11 / 4, -11 / 4]))
    assert pooling.sif(COUNTING, weights) == pytest.approx(np.array([11 / 4, -11 / 4]))  # sum / T, which is 4 here too
    assert pooling.sif(COUNTING[:3], weights[:3]) == pytest.approx(np.array([11 / 3, -11 / 3]))
    assert pooling.idf_mean(COUNTING, 0 * weights) == pytest.approx(pooling.mean(COUNTING))


def test_attention_by_hand_by_torch_and_at_its_ends():
    rng = np.random.default_rng()
    h, query = rng.standard_normal((5, 7, 6)), rng.standard_normal(6)
    alpha = torch.softmax(torch.from_numpy(h @ query / 6**0.5), dim=-1)
    assert pooling.attention_weights(h, query) == pytest.approx(alpha.numpy(), abs=1e-12)
    assert pooling.attention(h, query) == pytest.approx(torch.einsum("bt,btd->bd", alpha, torch.from_numpy(h)).numpy(), abs=1e-12)
    assert pooling.attention(h, 0 * query) == pytest.approx(h.mean(axis=1), abs=1e-12)
    largest = np.argmax(h @ query, axis=1)
    assert pooling.attention(h, 1e6 * query) == pytest.approx(h[np.arange(5), largest], abs=1e-9)  # no overflow either
    assert pooling.diagonal(h, query) == pytest.approx(query * h.mean(axis=1), abs=1e-12)


def test_mixes_of_layers_by_hand():
    means = {0: np.full((2, 3), 1.0), 1: np.full((2, 3), 3.0), 5: np.full((2, 3), 10.0)}
    assert (pooling.mix_of("first_last", {})(means) == 6.5).all()
    assert (pooling.mix_of("layers_0_5", {})(means) == 5.5).all()
    learned = {"scalar_mix": {0: {0: 1.0, 1: 0.5, 5: 0.25}, 1: {0: 0.0, 1: 0.0, 5: 1.0}}}
    assert (pooling.mix_of("scalar_mix", learned)(means) == 5.0).all()
    assert (pooling.mix_of("scalar_mix_1", learned)(means) == 10.0).all()
    with pytest.raises(ValueError, match=r"pooling layers_0_4 needs layer 4, but the dump holds 0, 1, 5: see dump.layers"):
        pooling.mix_of("layers_0_4", {})(means)


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("mean", ("mean", ())),
        ("last", ("last", ())),
        ("last_12", ("last_K", (12,))),
        ("layers_3_10", ("layers_I_J", (3, 10))),
        ("attention", ("attention", ())),
        ("attention_2", ("attention", (2,))),
        ("scalar_mix_0", ("scalar_mix", (0,))),
        ("first_last", ("first_last", ())),
    ],
)
def test_names_with_numbers(name, parsed):
    assert pooling.parse(name) == parsed


@pytest.mark.parametrize("name", ["lats", "last_0", "last_K", "last_1_2", "mean_2", "layers_1", "layers", "idf_mean_1", "attention_1_2", "4", ""])
def test_names_that_there_are_not_are_refused(name):
    with pytest.raises(ValueError, match=f"pooling is '{name}', expected one of mean, last, last_K, .*scalar_mix; K, I and J are numbers"):
        pooling.parse(name)


def test_sif_takes_the_common_direction_of_the_train_sentences_out_of_every_layer(tmp_path, states, monkeypatch):
    """The vectors of the file, over several row groups, against scikit-learn's truncated SVD of the train sentences' weighted means."""
    from sklearn.decomposition import TruncatedSVD

    monkeypatch.setattr(pooling, "ROW_GROUP", 5)
    write(tmp_path / "states", states)
    ids = [np.random.default_rng(i).integers(0, 6, len(states[i][0])).astype(np.int32) for i in range(17)]
    train = np.arange(11)
    weights = pooling.token_weights(np.arange(17), ids, train, ["sif"])
    pooling.pool(tmp_path / "states", "sif", tmp_path / "v.parquet", {}, weights, {}, train)
    for layer in range(3):
        raw = np.stack([weights["sif"][i] @ states[i][layer].astype(np.float64) / len(ids[i]) for i in range(17)])
        u = TruncatedSVD(1, algorithm="arpack").fit(raw[train]).components_[0]
        assert vectors.read_layer(tmp_path / "v.parquet", layer) == pytest.approx(raw - np.outer(raw @ u, u), abs=1e-5)
    assert [file.name for file in tmp_path.glob("v.*")] == ["v.parquet"]


def test_learned_poolings_and_mixes_are_pooled_by_name(tmp_path, states):
    rng = np.random.default_rng()
    write(tmp_path / "states", states)
    fitted = {name: {run: {layer: rng.standard_normal(8).astype(np.float32) for layer in range(3)} for run in (0, 1)} for name in pooling.LEARNED}
    for name, run in (("attention", 0), ("attention_1", 1), ("diagonal_1", 1)):
        pooling.pool(tmp_path / "states", name, tmp_path / "v.parquet", {}, {}, fitted)
        function, entry = pooling.LEARNED[pooling.parse(name)[0]], pooling.parse(name)[0]
        expected = [function(states[i][2].astype(np.float64), fitted[entry][run][2].astype(np.float64)) for i in range(17)]
        assert vectors.read_layer(tmp_path / "v.parquet", 2) == pytest.approx(np.stack(expected), abs=1e-5)
    pooling.pool(tmp_path / "states", "layers_0_2", tmp_path / "v.parquet", {})
    info, numbers = vectors.read_info(tmp_path / "v.parquet")
    assert (info["layers"], numbers) == (False, [0])
    expected = [(states[i][0].astype(np.float64).mean(0) + states[i][2].astype(np.float64).mean(0)) / 2 for i in range(17)]
    assert vectors.read_layer(tmp_path / "v.parquet", 0) == pytest.approx(np.stack(expected), abs=1e-5)


@pytest.mark.parametrize(("name", "runs"), [("attention", 0), ("attention_1", 1), ("scalar_mix_7", 0)])
def test_what_was_not_fitted_is_refused_with_the_remedy(tmp_path, states, name, runs):
    write(tmp_path / "states", states)
    fitted = {"attention": {0: {}}} if runs else {}
    with pytest.raises(ValueError, match=rf"pooling {name} was not fitted \({runs} runs of .*fit.poolings and fit.runs in params.yaml say what is"):
        pooling.pool(tmp_path / "states", name, tmp_path / "v.parquet", {}, {}, fitted)
    assert not (tmp_path / "v.parquet").exists()


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
