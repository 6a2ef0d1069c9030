"""What so many sentences take, against dumps of them: the last byte, not about so much."""

import numpy as np
import pytest
import torch

from pipeline.command import scale
from pipeline.command.scale import Kept, cost
from pipeline.dump import run
from pipeline.dump.keep import KEEPS
from pipeline.dump.settings import Dump
from pipeline.formats import dumps
from pipeline.models.rwkv6 import Rwkv6ForCausalLM
from pipeline.models.rwkv6_config import Rwkv6Config
from pipeline.pool.inputs import Inputs
from pipeline.pool.names import MEAN
from pipeline.pool.run import pool
from pipeline.readouts.registry import readout_of
from tests.command.conftest import SIZES

LAYERS = {"tokens": [0, 1, 2], "pooled": [0, 2], "state": [1, 2]}


@pytest.fixture
def model(seed):
    torch.manual_seed(seed)
    return Rwkv6ForCausalLM(Rwkv6Config(**{k: v for k, v in SIZES.items() if k != "model_type"})).eval()


@pytest.mark.parametrize("keep", KEEPS)
@pytest.mark.parametrize("store", ["float16", "float32"])
def test_bytes_and_shards_are_those_of_a_dump(model, keep, store, rng, tmp_path):
    """Of unlike lengths, over several shards and record batches."""
    lengths = rng.integers(1, 40, 1500)
    ids = [rng.integers(0, 256, length).astype(np.int32) for length in lengths]
    settings = Dump("float32", store, LAYERS[keep], "plain", keep, batch_tokens=64, shard_mb=1, gate_tokens=0)
    readout = readout_of(keep, "plain")
    places = run.Places(tmp_path / "out", "key", store=tmp_path / "store")
    facts = run.dump(model, ids, np.arange(1500), settings, places, readout=readout)
    said = cost(Kept(keep, LAYERS[keep], readout.shape_of(model), store, 64, 1), lengths, 1500)
    assert said.states == sum(file.stat().st_size for file in (tmp_path / "out").iterdir())
    assert said.shards == len(facts["shards"])
    assert keep != "tokens" or said.shards > 1
    assert said.tokens == lengths.sum() == facts["tokens"]
    assert said.rows == sum(batch.num_rows for batch in dumps.read(tmp_path / "out").batches)


def test_the_scratch_file_is_that_of_the_stage_pool(model, rng, tmp_path, monkeypatch):
    ids = [rng.integers(0, 256, 5).astype(np.int32) for _ in range(30)]
    settings = Dump("float32", "float16", "all", "plain", "tokens", batch_tokens=64, shard_mb=1, gate_tokens=0)
    places = run.Places(tmp_path / "out", "key", store=tmp_path / "store")
    run.dump(model, ids, np.arange(30), settings, places)
    seen = []

    def stop(pooled, *_):
        seen.append(next(iter(pooled.values())).base.nbytes)
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.pool.run._write", stop)
    with pytest.raises(KeyboardInterrupt):
        pool(dumps.read(tmp_path / "out"), MEAN, tmp_path / "v.parquet", "m", Inputs())
    said = cost(Kept("tokens", [0, 1, 2], (16,), "float16", 64, 1), np.full(30, 5), 30, "int8")
    assert [said.scratch] == seen
    assert said.scratch == 4 * said.vectors


@pytest.mark.parametrize("keep", KEEPS)
def test_more_sentences_are_as_many_of_the_same(keep, rng, monkeypatch):
    """A plan of a part stands for all: the same bytes but for the last shards, and so many times as many far beyond."""
    lengths = rng.integers(1, 40, 200)
    kept = Kept(keep, [1, 2], (2, 8, 8) if keep == "state" else (16,), "float16", 64, 1)
    by_part = cost(kept, lengths, 40_000)
    monkeypatch.setattr(scale, "PLANNED", 10**6)
    whole = cost(kept, lengths, 40_000)
    assert whole.states == pytest.approx(by_part.states, rel=0.01)
    assert whole.shards == pytest.approx(by_part.shards, rel=0.1, abs=2)
    assert (by_part.tokens, by_part.rows, by_part.vectors) == (whole.tokens, whole.rows, whole.vectors)
    assert whole.tokens == 200 * lengths.sum()
    monkeypatch.undo()
    far, further = cost(kept, lengths, 10**8), cost(kept, lengths, 10**10)
    assert further.states == pytest.approx(100 * far.states, rel=1e-9)
    assert further.shards == pytest.approx(100 * far.shards, abs=100)
    assert further.scratch == 100 * far.scratch


def test_hours_are_those_of_the_slower():
    kept = Kept("tokens", [0], (4,), "float16", 64, 1)
    found = cost(kept, np.array([36]), 1000)
    assert found.hours(tokens=10, written=found.states / 7200) == (1.0, 2.0)
