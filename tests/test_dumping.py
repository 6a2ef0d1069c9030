"""The plan, the key and the shards (contracts C3 and C6)."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pytest
import torch

from pipeline import dumping, shards
from pipeline.dumping import Dump
from pipeline.layers import hidden_layers
from pipeline.rwkv6 import Rwkv6Config, Rwkv6ForCausalLM

SETTINGS = Dump(dtype="float32", store="float16", batch_tokens=64, shard_mb=1, gate_tokens=0)


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
    plan = dumping.plan(lengths, batch_tokens=100, shard_tokens=1500)
    passes = list(chain.from_iterable(record for shard in plan for record in shard))
    assert np.array_equal(np.sort(np.concatenate(passes)), np.arange(500))
    assert all(len(set(lengths[one])) == 1 for one in passes)
    assert all(lengths[one].sum() <= max(100, lengths[one[0]]) for one in passes)
    assert all(lengths[a[-1]] <= lengths[b[0]] for a, b in pairwise(passes))
    tokens = [sum(lengths[one].sum() for record in shard for one in record) for shard in plan]
    assert max(tokens) <= 1500
    assert len(tokens) > 5


def test_plan_gives_a_sentence_longer_than_every_budget_a_shard_of_its_own():
    plan = dumping.plan(np.array([5, 7000]), batch_tokens=100, shard_tokens=50)
    assert [[one.tolist() for one in record] for shard in plan for record in shard] == [[[0]], [[1]]]


def test_stored_states_are_those_of_the_sentence_alone(model, tmp_path):
    """Read back by memory map and compared with a forward pass of each sentence by itself; float16 keeps 11 bits."""
    ids, names = sentences(60)
    facts = dumping.dump(model, ids, names, "key", tmp_path / "out", SETTINGS, scratch=tmp_path / "scratch")
    assert (facts["sentences"], facts["tokens"], facts["layers"], facts["dim"]) == (60, sum(map(len, ids)), 3, 32)
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
    facts = dumping.dump(model, ids, names, "key", tmp_path / "out", SETTINGS, scratch=tmp_path / "scratch")
    table = pyarrow.dataset.dataset(tmp_path / "out", format="ipc").to_table()
    assert table.schema.field("layer_02").type == pa.list_(pa.float16(), 32)
    assert table.num_rows == facts["tokens"]
    assert [s["name"] for s in facts["shards"]] == sorted(p.name for p in (tmp_path / "out").iterdir())


def test_shards_stay_near_the_wanted_size(model, tmp_path):
    ids, names = sentences(800)
    facts = dumping.dump(model, ids, names, "key", tmp_path / "out", SETTINGS, scratch=tmp_path / "scratch")
    sizes = [shard["bytes"] for shard in facts["shards"]]
    assert len(sizes) > 2
    assert max(sizes) < 1.2e6
    assert min(sizes[:-1]) > 0.5e6


def test_same_key_same_bytes_and_reading_is_zero_copy(model, tmp_path):
    ids, names = sentences(50)
    for run in ("a", "b"):
        dumping.dump(model, ids, names, "key", tmp_path / run, SETTINGS, scratch=tmp_path / f"scratch-{run}")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    before = pa.total_allocated_bytes()
    views = [shards.layer(batch, "layer_01") for batch in shards.record_batches(tmp_path / "a")]
    assert sum(v.nbytes for v in views) == sum(map(len, ids)) * 32 * 2
    assert pa.total_allocated_bytes() - before < 10_000


def key(**changes):
    ids = [np.array([1, 2, 3], dtype=np.int32), np.array([4], dtype=np.int32)]
    arguments = {"fingerprint": {"sha256": "w"}, "tokens_info": {"tokenizer": {"kind": "bytes"}, "bos": None}, "ids": ids, "params": SETTINGS} | changes
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


def test_key_changes_with_the_code_version(monkeypatch):
    expected = key()
    monkeypatch.setattr(dumping, "CODE_VERSION", dumping.CODE_VERSION + 1)
    assert key() != expected


def test_finished_shards_are_reused_and_damaged_ones_redone(model, tmp_path, monkeypatch):
    ids, names = sentences(900)
    scratch = tmp_path / "scratch"
    facts = dumping.dump(model, ids, names, "key", tmp_path / "out", SETTINGS, scratch=scratch)
    whole = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert len(whole) >= 3
    damaged, missing = sorted(whole)[0], sorted(whole)[1]
    (scratch / "key" / damaged).unlink()
    (scratch / "key" / damaged).write_bytes(whole[damaged][:-100])
    (scratch / "key" / missing).unlink()
    ran = []
    honest = dumping.hidden_layers
    monkeypatch.setattr(dumping, "hidden_layers", lambda m, batch: ran.append(batch.numel()) or honest(m, batch))
    dumping.dump(model, ids, names, "key", tmp_path / "again", SETTINGS, scratch=scratch)
    assert {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()} == whole
    redone = {s["name"]: s["tokens"] for s in facts["shards"]}
    assert sum(ran) == redone[damaged] + redone[missing]


def test_another_key_never_sees_a_shard(model, tmp_path):
    ids, names = sentences(20)
    dumping.dump(model, ids, names, "one", tmp_path / "out", SETTINGS, scratch=tmp_path / "scratch")
    other = [one[::-1].copy() for one in ids]
    dumping.dump(model, other, names, "two", tmp_path / "out", SETTINGS, scratch=tmp_path / "scratch")
    (tmp_path / "out/shard-00099.arrow").write_bytes(b"of an earlier dump with more shards")
    dumping.dump(model, other, names, "two", tmp_path / "out", SETTINGS, scratch=tmp_path / "scratch")
    fresh = tmp_path / "fresh"
    dumping.dump(model, other, names, "three", fresh, SETTINGS, scratch=tmp_path / "elsewhere")
    assert [p.read_bytes() for p in sorted((tmp_path / "out").iterdir())] == [p.read_bytes() for p in sorted(fresh.iterdir())]


def test_killed_in_the_middle_it_resumes_to_the_same_bytes(model, tmp_path):
    """SIGKILL while shards are being written in another process; the next run keeps what was finished."""
    ids, names = sentences(1200)
    np.savez(tmp_path / "ids.npz", *ids)
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    program = f"""
import time, numpy as np, torch
from pipeline import dumping
from pipeline.rwkv6 import Rwkv6Config, Rwkv6ForCausalLM
model = Rwkv6ForCausalLM(Rwkv6Config(vocab_size=64, hidden_size=32, num_hidden_layers=2, head_size=8)).eval()
model.load_state_dict(torch.load({str(tmp_path / "weights.pt")!r}))
stored = np.load({str(tmp_path / "ids.npz")!r})
ids = [stored[name] for name in stored]
honest = dumping.hidden_layers
dumping.hidden_layers = lambda m, batch: time.sleep(0.01) or honest(m, batch)
names = np.array({names.tolist()})
dumping.dump(model, ids, names, "key", {str(tmp_path / "killed")!r}, dumping.{SETTINGS!r}, scratch={str(tmp_path / "scratch")!r})
"""
    process = subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parents[1], stderr=subprocess.DEVNULL)
    deadline = time.time() + 60
    while time.time() < deadline and not (tmp_path / "scratch/key/shard-00001.arrow").exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "scratch/key").glob("*.arrow")}
    assert kept
    assert not (tmp_path / "killed").exists(), "shards are linked into the output only when all are there"
    dumping.dump(model, ids, names, "key", tmp_path / "killed", SETTINGS, scratch=tmp_path / "scratch")
    dumping.dump(model, ids, names, "key", tmp_path / "calm", SETTINGS, scratch=tmp_path / "elsewhere")
    first, second = ({p.name: p.read_bytes() for p in (tmp_path / folder).iterdir()} for folder in ("killed", "calm"))
    assert len(kept) < len(first)
    assert first.keys() == second.keys()
    assert all(first[name] == second[name] for name in set(first) - set(kept))
    for name in kept:  # written by the other process, whose thread count may round differently: same rows, same states within float16
        assert (tmp_path / "scratch/key" / name).stat().st_mtime_ns == kept[name]
        for a, b in zip(*(shard_states(tmp_path / folder / name) for folder in ("killed", "calm")), strict=True):
            assert np.allclose(a, b, atol=2e-3)


def shard_states(path):
    reader = shards.open_shard(path)
    return [shards.layer(reader.get_batch(i), "layer_02").astype(np.float32) for i in range(reader.num_record_batches)]


def test_manifest_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "manifests/m.json"
    with pytest.raises(TypeError):
        dumping.write_manifest(path, {"unserialisable": object()})
    assert not path.exists()
    dumping.write_manifest(path, {"b": 1, "a": [1.5]})
    assert json.loads(path.read_text()) == {"a": [1.5], "b": 1}
    assert [p.name for p in path.parent.iterdir()] == ["m.json"]


def test_memory_does_not_grow_with_the_number_of_sentences(model, tmp_path, monkeypatch):
    """At no time are more states alive than one record batch holds."""
    most = []
    honest = shards.record_batch

    def counted(rows, positions, states, schema):
        most.append(sum(s.nbytes for s in states))
        return honest(rows, positions, states, schema)

    monkeypatch.setattr(shards, "record_batch", counted)
    ids, names = sentences(900)
    dumping.dump(model, ids, names, "key", tmp_path / "out", SETTINGS, scratch=tmp_path / "scratch")
    assert len(most) > 4
    assert max(most) <= dumping.RECORD_TOKENS * 3 * 32 * 2


def test_key_changes_with_the_versions_of_the_libraries(monkeypatch):
    expected = key()
    monkeypatch.setattr(dumping.importlib.metadata, "version", lambda package: "0.0")
    assert key() != expected
