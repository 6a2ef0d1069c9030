"""The plan, the key and the shards (contracts C3 and C6)."""

import json
from dataclasses import replace
from itertools import chain, pairwise

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pytest
import torch

from pipeline import dumping, layers, pooling, shards, statistics, vectors
from pipeline.dumping import Dump
from pipeline.layers import hidden_layers
from pipeline.rwkv6 import Rwkv6Config, Rwkv6ForCausalLM

SETTINGS = Dump(dtype="float32", store="float16", layers="all", keep="tokens", batch_tokens=64, shard_mb=1, gate_tokens=0)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Rwkv6ForCausalLM(Rwkv6Config(vocab_size=64, hidden_size=32, num_hidden_layers=2, head_size=8)).eval()


def sentences(n, longest=40, seed=None):
    rng = np.random.default_rng(seed)
    ids = [rng.integers(0, 64, rng.integers(1, longest)).astype(np.int32) for _ in range(n)]
    return ids, rng.permutation(n) + 1000  # ids of sentences need not be their row numbers


def test_plan_covers_every_sentence_once_in_batches_of_one_length_within_budgets():
    lengths = np.random.default_rng().integers(1, 90, 500)
    plan = dumping.plan(lengths, lengths, batch_tokens=100, shard_rows=1500)
    passes = list(chain.from_iterable(record for shard in plan for record in shard))
    assert np.array_equal(np.sort(np.concatenate(passes)), np.arange(500))
    assert all(len(set(lengths[one])) == 1 for one in passes)
    assert all(lengths[one].sum() <= max(100, lengths[one[0]]) for one in passes)
    assert all(lengths[a[-1]] <= lengths[b[0]] for a, b in pairwise(passes))
    tokens = [sum(lengths[one].sum() for record in shard for one in record) for shard in plan]
    assert max(tokens) <= 1500
    assert len(tokens) > 5


def test_plan_gives_a_sentence_longer_than_every_budget_a_shard_of_its_own():
    plan = dumping.plan(np.array([5, 7000]), np.array([5, 7000]), batch_tokens=100, shard_rows=50)
    assert [[one.tolist() for one in record] for shard in plan for record in shard] == [[[0]], [[1]]]


def test_stored_states_are_those_of_the_sentence_alone(model, tmp_path):
    """Read back by memory map and compared with a forward pass of each sentence by itself; float16 keeps 11 bits."""
    ids, names = sentences(60)
    facts = dumping.dump(model, ids, names, "key", tmp_path / "out", SETTINGS, store=tmp_path / "scratch")
    assert (facts["sentences"], facts["tokens"], facts["layers"], facts["dim"]) == (60, sum(map(len, ids)), [0, 1, 2], 32)
    seen = {}
    for batch in shards.record_batches(tmp_path / "out"):
        held, starts = shards.sentence_starts(batch)
        for name, a, b in zip(held, starts[:-1], starts[1:]):
            assert name not in seen, "a sentence is split or repeated"
            assert batch["position"].to_pylist()[a:b] == list(range(b - a))
            seen[name] = [shards.layer(batch, column)[a:b] for column in batch.schema.names[2:]]
    assert set(seen) == set(names)
    for one, name in zip(ids, names):
        for stored, exact in zip(seen[name], hidden_layers(model, torch.as_tensor(one, dtype=torch.long)[None])):
            assert stored.dtype == np.float16
            assert np.abs(stored - exact[0].numpy()).max() <= 1e-3 * max(1, exact.abs().max())


def test_shards_are_plain_arrow_that_other_tools_read(model, tmp_path):
    ids, names = sentences(30)
    facts = dumping.dump(model, ids, names, "key", tmp_path / "out", SETTINGS, store=tmp_path / "scratch")
    table = pyarrow.dataset.dataset(tmp_path / "out", format="ipc").to_table()
    assert table.schema.field("layer_02").type == pa.list_(pa.float16(), 32)
    assert table.num_rows == facts["tokens"]
    assert [s["name"] for s in facts["shards"]] == sorted(p.name for p in (tmp_path / "out").iterdir())


def test_shards_stay_near_the_wanted_size(model, tmp_path):
    ids, names = sentences(800)
    facts = dumping.dump(model, ids, names, "key", tmp_path / "out", SETTINGS, store=tmp_path / "scratch")
    sizes = [shard["bytes"] for shard in facts["shards"]]
    assert len(sizes) > 2
    assert max(sizes) < 1.2e6
    assert min(sizes[:-1]) > 0.5e6


def test_same_key_same_bytes_and_reading_is_zero_copy(model, tmp_path):
    ids, names = sentences(50)
    for run in ("a", "b"):
        dumping.dump(model, ids, names, "key", tmp_path / run, SETTINGS, store=tmp_path / f"scratch-{run}")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    before = pa.total_allocated_bytes()
    views = [shards.layer(batch, "layer_01") for batch in shards.record_batches(tmp_path / "a")]
    assert sum(v.nbytes for v in views) == sum(map(len, ids)) * 32 * 2
    assert pa.total_allocated_bytes() - before < 10_000


def key(**changes):
    ids = [np.array([1, 2, 3], dtype=np.int32), np.array([4], dtype=np.int32)]
    arguments = {
        "fingerprint": {"sha256": "w"},
        "tokens_info": {"tokenizer": {"kind": "bytes"}, "bos": None},
        "ids": ids,
        "sentence_ids": [0, 1],
        "depth": 2,
        "params": SETTINGS,
    } | changes
    return dumping.key_of(**arguments)[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"fingerprint": {"sha256": "v"}},
        {"tokens_info": {"tokenizer": {"kind": "bytes"}, "bos": 0}},
        {"ids": [np.array([1, 2], dtype=np.int32), np.array([3, 4], dtype=np.int32)]},
        {"ids": [np.array([1, 2, 3, 4], dtype=np.int32)]},
        {"params": replace(SETTINGS, dtype="bfloat16")},
        {"params": replace(SETTINGS, store="float32")},
        {"params": replace(SETTINGS, batch_tokens=65)},
        {"params": replace(SETTINGS, layers=2)},
        {"params": replace(SETTINGS, keep="pooled")},
        {"depth": 3},
        {"sentence_ids": [1, 0]},
        {"kernel": "flash-linear-attention 0.3"},
    ],
)
def test_key_changes_with_everything_that_changes_bytes(changes):
    assert key(**changes) != key()


def test_key_ignores_what_changes_no_bytes(monkeypatch):
    expected = key()
    monkeypatch.setenv("DRILLCORE_DEVICE", "cuda")
    torch_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert key(params=replace(SETTINGS, gate_tokens=7)) == expected
        assert key(ids=[np.array([1, 2, 3], dtype=np.int64), np.array([4], dtype=np.int64)]) == expected
    finally:
        torch.set_num_threads(torch_threads)


def test_key_changes_with_the_code_that_makes_the_bytes(monkeypatch):
    expected = key()
    monkeypatch.setattr(dumping, "CODE", (*dumping.CODE, "pooling"))
    assert key() != expected


def test_a_first_token_of_huge_values_does_not_blur_the_others():
    """Massive activations: 6e4 at the first token, 1e-2 at the others; float32 cannot hold their sum."""
    states = torch.full((1, 5, 4), 0.01)
    states[:, 0] = 6e4
    found = dict(zip(statistics.STATISTICS, statistics.of(states, torch.float32)))
    vector = pooling.FROM_STATISTICS["skip_first"](lambda name: found[name].numpy(), np.array([5], dtype=np.float32))
    np.testing.assert_allclose(vector, 0.01, rtol=1e-6)


def test_no_sentences_and_unusable_folders_are_said_before_anything_is_computed(model, tmp_path, monkeypatch):
    ids, names = sentences(5)
    with pytest.raises(ValueError, match="there are no sentences to dump"):
        dumping.dump(model, [], np.array([]), "key", tmp_path / "out", SETTINGS, store=tmp_path / "scratch")
    monkeypatch.setattr(dumping, "hidden_layers", None)
    (tmp_path / "file").write_text("")
    for out in ("file", "file/below"):
        with pytest.raises(NotADirectoryError, match=r"cannot be a folder: .*file is a file"):
            dumping.dump(model, ids, names, "key", tmp_path / out, SETTINGS, store=tmp_path / "scratch")


def test_finished_shards_are_reused_and_damaged_ones_redone(model, tmp_path, monkeypatch):
    ids, names = sentences(900)
    scratch = tmp_path / "scratch"
    facts = dumping.dump(model, ids, names, "key", tmp_path / "out", SETTINGS, store=scratch)
    whole = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert len(whole) >= 3
    damaged, missing = sorted(whole)[0], sorted(whole)[1]
    (scratch / "key" / damaged).unlink()
    (scratch / "key" / damaged).write_bytes(whole[damaged][:-100])
    (scratch / "key" / missing).unlink()
    ran = []
    honest = dumping.hidden_layers
    monkeypatch.setattr(dumping, "hidden_layers", lambda m, batch, wanted: ran.append(batch.numel()) or honest(m, batch, wanted))
    dumping.dump(model, ids, names, "key", tmp_path / "again", SETTINGS, store=scratch)
    assert {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()} == whole
    redone = {s["name"]: s["tokens"] for s in facts["shards"]}
    assert sum(ran) == redone[damaged] + redone[missing]


def test_another_key_never_sees_a_shard(model, tmp_path):
    ids, names = sentences(20)
    dumping.dump(model, ids, names, "one", tmp_path / "out", SETTINGS, store=tmp_path / "scratch")
    other = [one[::-1].copy() for one in ids]
    dumping.dump(model, other, names, "two", tmp_path / "out", SETTINGS, store=tmp_path / "scratch")
    (tmp_path / "out/shard-00099.arrow").write_bytes(b"of an earlier dump with more shards")
    dumping.dump(model, other, names, "two", tmp_path / "out", SETTINGS, store=tmp_path / "scratch")
    fresh = tmp_path / "fresh"
    dumping.dump(model, other, names, "three", fresh, SETTINGS, store=tmp_path / "elsewhere")
    assert [p.read_bytes() for p in sorted((tmp_path / "out").iterdir())] == [p.read_bytes() for p in sorted(fresh.iterdir())]


def test_manifest_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "manifests/m.json"
    with pytest.raises(TypeError):
        dumping.write_manifest(path, {"unserialisable": object()})
    assert not path.exists()
    dumping.write_manifest(path, {"b": 1, "a": [1.5]})
    assert json.loads(path.read_text()) == {"a": [1.5], "b": 1}
    assert [p.name for p in path.parent.iterdir()] == ["m.json"]


def test_memory_does_not_grow_with_the_number_of_sentences(model, tmp_path, monkeypatch):
    """At no time are more states alive than two record batches hold: they lie in the same two places again and again."""
    places, most = set(), []
    honest = shards.record_batch

    def counted(columns, schema):
        places.add(columns[2].__array_interface__["data"][0])
        most.append(sum(s.nbytes for s in columns[2:]))
        return honest(columns, schema)

    monkeypatch.setattr(shards, "record_batch", counted)
    ids, names = sentences(900)
    dumping.dump(model, ids, names, "key", tmp_path / "out", SETTINGS, store=tmp_path / "scratch")
    assert len(most) > 4
    assert len(places) == 2
    assert max(most) <= dumping.RECORD_ROWS * 3 * 32 * 2


def test_key_changes_with_the_versions_of_the_libraries(monkeypatch):
    expected = key()
    monkeypatch.setattr(dumping.importlib.metadata, "version", lambda package: "0.0")
    assert key() != expected


@pytest.mark.parametrize(
    ("spec", "expected"), [("all", [0, 1, 2, 3, 4]), (1, [0, 1, 2, 3, 4]), (2, [0, 2, 4]), (3, [0, 3]), ([0, -1], [0, 4]), ([3, 1, 3], [1, 3]), ([-5], [0])]
)
def test_layer_numbers(spec, expected):
    assert layers.numbers(spec, 4) == expected


@pytest.mark.parametrize("spec", ["some", 0, -1, [], [5], [-6]])
def test_layers_that_a_model_does_not_have(spec):
    with pytest.raises(ValueError, match=r"dump\.layers is .*: give all, a list of layers from -5 to 4 \(this model has 4 blocks\)"):
        layers.numbers(spec, 4)


@pytest.mark.parametrize(("spec", "numbers", "ran"), [([0], [0], 0), ([1], [1], 1), (2, [0, 2], 2), ([0, -1], [0, 2], 2)])
@pytest.mark.parametrize("keep", ["tokens", "pooled"])
def test_chosen_layers_are_those_of_the_whole_dump_and_no_block_runs_after_the_last(model, tmp_path, spec, numbers, ran, keep):
    ids, names = sentences(40)
    settings = replace(SETTINGS, layers=spec, keep=keep)
    calls = []
    handles = [block.feed_forward.register_forward_pre_hook(lambda module, args, i=i: calls.append(i)) for i, block in enumerate(model.rwkv.blocks)]
    handles.append(model.rwkv.ln_out.register_forward_pre_hook(lambda module, args: calls.append("norm")))
    try:
        facts = dumping.dump(model, ids, names, "some", tmp_path / "some", settings, store=tmp_path / "scratch")
    finally:
        for handle in handles:
            handle.remove()
    assert facts["layers"] == numbers
    assert set(calls) == set(range(ran))
    dumping.dump(model, ids, names, "all", tmp_path / "all", SETTINGS, store=tmp_path / "scratch")
    for folder in ("some", "all"):
        pooling.pool(tmp_path / folder, "mean", tmp_path / f"{folder}.parquet", {"layers": True})
    assert vectors.read_info(tmp_path / "some.parquet")[1] == numbers
    for number in numbers:
        some, every = (pl.read_parquet(tmp_path / f"{folder}.parquet").sort("sentence_id")[f"layer_{number:02d}"].to_numpy() for folder in ("some", "all"))
        np.testing.assert_allclose(some, every, rtol=2e-6, atol=2e-6)
    assert len(some) == 40


@pytest.mark.parametrize("store", ["float16", "float32"])
def test_pooling_from_statistics_gives_the_vectors_of_the_tokens(model, tmp_path, store):
    ids, names = sentences(60)
    for keep in dumping.KEEPS:
        facts = dumping.dump(model, ids, names, keep, tmp_path / keep, replace(SETTINGS, keep=keep, store=store), store=tmp_path / "scratch")
        assert (facts["keep"], facts["sentences"], facts["tokens"]) == (keep, 60, sum(map(len, ids)))
    for pooling_name in pooling.FROM_STATISTICS:
        for keep in dumping.KEEPS:
            pooling.pool(tmp_path / keep, pooling_name, tmp_path / f"{keep}.parquet", {"layers": True})
        tokens, pooled = (pl.read_parquet(tmp_path / f"{keep}.parquet").sort("sentence_id") for keep in dumping.KEEPS)
        assert tokens["sentence_id"].equals(pooled["sentence_id"])
        for column in ("layer_00", "layer_01", "layer_02"):
            if pooling_name in ("first", "last", "max"):
                assert np.array_equal(tokens[column].to_numpy(), pooled[column].to_numpy())
            else:
                np.testing.assert_allclose(pooled[column].to_numpy(), tokens[column].to_numpy(), rtol=1e-5, atol=1e-6)


def test_statistics_by_the_definition(model, tmp_path):
    ids, names = sentences(30)
    dumping.dump(model, ids, names, "key", tmp_path / "out", replace(SETTINGS, keep="pooled"), store=tmp_path / "scratch")
    seen = {}
    for batch in shards.record_batches(tmp_path / "out"):
        for row, name in enumerate(batch["sentence_id"].to_pylist()):
            seen[name] = {key: statistics.read(batch, "layer_01", key)[row] for key in statistics.STATISTICS} | {"tokens": batch["tokens"][row].as_py()}
    assert seen.keys() == set(names)
    for one, name in zip(ids, names):
        exact = hidden_layers(model, torch.as_tensor(one, dtype=torch.long)[None])[1][0].double().numpy()
        expected = {
            "rest_sum": exact[1:].sum(0),
            "position_sum": (exact * np.arange(1, len(exact) + 1)[:, None]).sum(0),
            "first": exact[0],
            "last": exact[-1],
            "max": exact.max(0),
            "squared_norm": (exact**2).sum(),
        }
        assert seen[name].pop("tokens") == len(one)
        assert seen[name].keys() == expected.keys()
        for key, value in expected.items():
            assert np.abs(seen[name][key] - value).max() <= 2e-3 * np.abs(value).max()


def test_a_pooling_that_needs_tokens_says_what_to_rerun(model, tmp_path, monkeypatch):
    ids, names = sentences(10)
    dumping.dump(model, ids, names, "key", tmp_path / "out", replace(SETTINGS, keep="pooled"), store=tmp_path / "scratch")
    monkeypatch.setitem(pooling.POOLINGS, "median", lambda h: np.median(h, axis=-2))
    with pytest.raises(
        ValueError,
        match=r"pooling median needs the state of every token.* mean, last, first, max, weighted_mean, skip_first, mean_max: set dump\.keep to tokens and run",
    ):
        pooling.pool(tmp_path / "out", "median", tmp_path / "v.parquet", {})
    assert not (tmp_path / "v.parquet").exists()


def test_out_of_memory_halves_the_budget_says_so_and_changes_nothing_else(model, tmp_path, monkeypatch, capsys):
    ids, names = sentences(200)
    dumping.dump(model, ids, names, "calm", tmp_path / "calm", SETTINGS, store=tmp_path / "scratch")
    honest, sizes = dumping.hidden_layers, []

    def small(m, batch, wanted):
        sizes.append(batch.numel())
        if batch.numel() > 39 and len(batch) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return honest(m, batch, wanted)

    monkeypatch.setattr(dumping, "hidden_layers", small)
    dumping.dump(model, ids, names, "tight", tmp_path / "tight", SETTINGS, store=tmp_path / "scratch")
    assert "out of memory on cpu: going on with at most" in capsys.readouterr().err
    assert sum(size > 39 for size in sizes) <= 3, "once halved it stays halved"
    for name in sorted(p.name for p in (tmp_path / "calm").iterdir()):
        readers = [shards.open_shard(tmp_path / folder / name) for folder in ("calm", "tight")]
        for i in range(readers[0].num_record_batches):
            a, b = (reader.get_batch(i) for reader in readers)
            assert a["sentence_id"].equals(b["sentence_id"])
            np.testing.assert_allclose(shards.layer(a, "layer_02"), shards.layer(b, "layer_02"), rtol=2e-3, atol=2e-3)

    def never(m, batch, wanted):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(dumping, "hidden_layers", never)
    with pytest.raises(ValueError, match=r"one sentence of \d+ tokens does not fit the memory of cpu: lower tokenize\.max_tokens"):
        dumping.dump(model, ids, names, "none", tmp_path / "none", SETTINGS, store=tmp_path / "scratch")


def test_other_thread_counts_agree_within_the_rounding_of_the_store(tmp_path):
    """Stated in docs/performance.md: float32 on another number of threads, 1e-5 of the largest state."""
    torch.manual_seed(1)
    model = Rwkv6ForCausalLM(Rwkv6Config(vocab_size=64, hidden_size=128, num_hidden_layers=3, head_size=32)).eval()
    ids, names = sentences(60)
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            dumping.dump(model, ids, names, f"on{threads}", tmp_path / f"on{threads}", replace(SETTINGS, store="float32"), store=tmp_path / "scratch")
    finally:
        torch.set_num_threads(before)
    compared = 0
    for a, b in zip(shards.record_batches(tmp_path / "on1"), shards.record_batches(tmp_path / "on2"), strict=True):
        for name in a.schema.names[2:]:
            one, two = shards.layer(a, name), shards.layer(b, name)
            assert np.abs(one - two).max() <= 1e-5 * np.abs(one).max()
            compared += 1
    assert compared >= 4


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_dumps_the_states_of_the_cpu(tmp_path):
    """Within 1e-3 of the largest state in float32 (TF32 is off), through page-locked memory, in several shards."""
    torch.manual_seed(1)
    model = Rwkv6ForCausalLM(Rwkv6Config(vocab_size=64, hidden_size=128, num_hidden_layers=3, head_size=32)).eval()
    ids, names = sentences(1500)
    for device in ("cpu", "cuda"):
        for keep in dumping.KEEPS:
            dumping.dump(model.to(device), ids, names, device + keep, tmp_path / (device + keep), replace(SETTINGS, keep=keep), store=tmp_path / "scratch")
    for keep in dumping.KEEPS:
        compared = 0
        for a, b in zip(shards.record_batches(tmp_path / f"cpu{keep}"), shards.record_batches(tmp_path / f"cuda{keep}"), strict=True):
            assert a["sentence_id"].equals(b["sentence_id"])
            for name in a.schema.names[2:]:
                one, two = (np.asarray(batch[name].flatten() if keep == "tokens" else batch[name].to_pylist(), dtype=np.float32) for batch in (a, b))
                assert np.abs(one - two).max() <= 1e-3 * np.abs(one).max()
                compared += 1
        assert compared >= 4
