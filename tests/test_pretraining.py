"""Training on a toy: the same losses again, also after a stop; what it learns; its batches and schedule."""

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
import yaml

from pipeline import gate, models, pretraining
from pipeline.catalog import Model
from pipeline.pretraining import Pretrain, batch_of, held_out_bits, loss_of, new_model, optimizer_of, pack, rate_at, train

TOY = Pretrain(
    hidden_size=32, num_hidden_layers=2, head_size=16, time_mix_extra_dim=4, time_decay_extra_dim=4, context=16, batch=4, tokens=60 * 64,
    learning_rate=0.01, warm_up=5, weight_decay=0.1, seed=3, evaluate_every=20, evaluate_tokens=40,
)  # fmt: skip


@pytest.fixture(scope="module")
def stream():
    """Words of a small language: a letter is always followed by the next one."""
    random = np.random.default_rng(0)
    starts = random.integers(1, 9, 700)
    return pack([np.arange(start, start + 4) for start in starts], 0, seed=0)


HELD = [np.array([2, 3, 4, 5]), np.array([7, 8, 9, 10])], [4, 4]


def run(stream, tmp_path, name="a", log=lambda line: None, **changes):
    return train(stream, HELD, dataclasses.replace(TOY, **changes), 16, 0, tmp_path / f"{name}.pt", log=log)


def test_the_same_seed_gives_the_same_first_50_losses_and_another_seed_does_not(stream, tmp_path):
    first, again, other = (run(stream, tmp_path, str(i), seed=seed)[1]["loss"].to_list() for i, seed in enumerate((3, 3, 4)))
    assert len(first) == 60
    assert first[:50] == again[:50]
    assert first[:50] != other[:50]
    assert abs(first[0] - math.log(16)) < 1e-5  # the head starts at zero: all tokens alike
    assert np.mean(first[-5:]) < 0.7 * first[0]


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not whole", None])
def test_a_broken_checkpoint_is_named(stream, tmp_path, damage):
    torch.save({"model": {}}, tmp_path / "a.pt") if damage is None else (tmp_path / "a.pt").write_bytes(damage)
    with pytest.raises(ValueError, match=r"a\.pt is not a whole checkpoint of this model: remove it"):
        run(stream, tmp_path)


def test_a_checkpoint_belongs_to_text_settings_and_device(stream):
    keys = {pretraining.key_of(s, t, v, e, d) for s, t, v, e, d in [(stream, TOY, 16, 0, "cpu")] * 2}
    assert len(keys) == 1
    others = [(stream[:-1], TOY, 16, 0, "cpu"), (stream, dataclasses.replace(TOY, seed=9), 16, 0, "cpu"), (stream, TOY, 17, 0, "cpu")]
    keys |= {pretraining.key_of(*other) for other in [*others, (stream, TOY, 16, 1, "cpu"), (stream, TOY, 16, 0, "cuda")]}
    assert len(keys) == 6


class Stopped(Exception):
    pass


def test_a_stopped_run_goes_on_with_the_same_losses(stream, tmp_path):
    whole, lines = run(stream, tmp_path, "whole"), []

    def stop(line):
        lines.append(line)
        if line.startswith("step 40 of"):
            raise Stopped

    with pytest.raises(Stopped):
        run(stream, tmp_path, "parts", log=stop)
    assert (tmp_path / "parts.pt").exists()
    model, history = run(stream, tmp_path, "parts", log=lines.append)
    assert any(line.startswith("resumed after step 20 of 60") for line in lines)
    assert history.drop("seconds").equals(whole[1].drop("seconds"))
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), whole[0].state_dict().values()))
    assert history["held_out"].is_not_null().to_list() == [step % 20 == 0 for step in range(1, 61)]
    assert history["tokens"].to_list() == [64 * step for step in range(1, 61)]


def test_held_out_bits_are_those_of_the_gate(stream, tmp_path):
    model, history = run(stream, tmp_path)
    assert held_out_bits(model, *HELD) == pytest.approx(gate.bits_per_byte(model.eval(), HELD[0], 8), rel=1e-5)
    assert history["held_out"][-1] == held_out_bits(model, *HELD, TOY.evaluate_tokens)
    long = [np.arange(1500) % 16], [1500]
    twice = gate.bits_per_byte(model.eval(), [long[0][0][:1024], long[0][0][1024:]], 1500)  # a new run starts from a fresh state
    assert held_out_bits(model, *long) == pytest.approx(twice, rel=1e-5)
    assert held_out_bits(model, *HELD, budget=1) == pytest.approx(gate.bits_per_byte(model.eval(), HELD[0][:1], 4), rel=1e-5)


def test_an_epoch_shows_every_window_once_each_time_elsewhere():
    stream = np.arange(16 * 41 + 1, dtype=np.int32)
    epochs = [[batch_of(stream, 10 * epoch + step, TOY) for step in range(10)] for epoch in (0, 1)]
    for batches in epochs:
        seen = torch.cat(batches)
        assert seen.shape == (40, 17)
        assert (seen.diff(dim=1) == 1).all()
        starts = seen[:, 0].sort().values
        assert (starts.diff() == 16).all()
    assert not torch.equal(torch.cat(epochs[0]), torch.cat(epochs[1]))
    with pytest.raises(ValueError, match="the text has 50 tokens: too few"):
        batch_of(stream[:50], 0, TOY)


def test_pack_keeps_every_document_and_ends_it():
    documents = [np.full(n, n) for n in range(1, 8)]
    stream = pack(documents, 0, seed=1)
    found = [part[part > 0] for part in np.split(stream, np.flatnonzero(stream == 0))]
    assert sorted(len(part) for part in found if len(part)) == list(range(1, 8))
    assert all((part == len(part)).all() for part in found if len(part))
    assert stream[-1] == 0


def test_learning_rate_rises_and_falls_by_the_closed_form():
    rates = [rate_at(step, TOY) for step in range(TOY.steps)]
    assert rates[:5] == pytest.approx([0.002, 0.004, 0.006, 0.008, 0.01])
    assert rates[5] == pytest.approx(0.01)
    assert rates[5 + 11] == pytest.approx(0.01 * (0.1 + 0.9 * (1 + math.cos(math.pi * 0.2)) / 2))
    assert np.argmax(rates) in (4, 5)
    assert rates[-1] == pytest.approx(0.001, rel=0.02)


def test_decay_is_on_matrices_alone_and_every_parameter_is_trained():
    model = new_model(TOY, 16, 0)
    decayed, free = optimizer_of(model, TOY).param_groups
    assert {p.ndim for p in decayed["params"]} == {2}
    assert len(decayed["params"]) == 2 * 8 + 1
    assert len(decayed["params"]) + len(free["params"]) == len(list(model.parameters()))
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p))
    loss_of(model, torch.randint(0, 16, (2, 17))).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize(
    ("change", "message"), [({"context": 1}, "context is 1"), ({"tokens": 63}, "tokens is 63"), ({"learning_rate": 0.0}, "learning_rate is 0")]
)
def test_settings_out_of_range(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(TOY, **change)


ROOT = Path(__file__).parents[1]


def test_the_stages_make_a_model_that_the_pipeline_loads(tmp_path):
    """From a folder of text to a model folder, its losses, its picture, and word vectors, with the commands of data/demo/dvc.yaml."""
    text = " ".join(f"The bank said on {day} that shares of firm {i} fell {i} percent ." for i, day in enumerate(["Monday", "Tuesday", "Friday"] * 7))
    (tmp_path / "data/demo/text").mkdir(parents=True)
    (tmp_path / "data/demo/text/a.txt").write_text("\n\n".join(f"{i} {text}" for i in range(60)))
    (tmp_path / "catalog.yaml").write_text(yaml.safe_dump({"datasets": {"few": {"path": str(tmp_path / "few.csv")}}}))
    sentence = "a sentence of at least thirteen words that no document of this test holds"
    pl.DataFrame({"sentence1": [sentence] * 2, "sentence2": ["x", "y"], "label": [0, 1]}).write_csv(tmp_path / "few.csv")
    settings = yaml.safe_load((ROOT / "data/demo/params.yaml").read_text())
    settings["corpus"] |= {"exclude": ["few"], "vocabulary": 280, "held_out": 0.2}
    settings["pretrain"] |= dataclasses.asdict(TOY)
    settings["wordvectors"] |= {"dim": 4, "words": 40}
    (tmp_path / "data/demo/params.yaml").write_text(yaml.safe_dump(settings))
    for stage in yaml.safe_load((ROOT / "data/demo/dvc.yaml").read_text())["stages"].values():
        command = stage["cmd"].replace("python", sys.executable, 1).split()
        done = subprocess.run(
            command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        missing = [out for out in stage["outs"] if not (tmp_path / out).exists()]
        assert missing == []
    build = tmp_path / "data/demo/build"
    counts = json.loads((build / "corpus.json").read_text())
    assert counts["removed"] == {"few": 0}
    assert list(counts["held_out_bits_per_byte"]) == list("12345")
    model = models.load(Model(path=str(build / "model")), build / "model", "demo")
    assert model.config.vocab_size == counts["vocabulary"]
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    weights = [f for f in (build / "model").iterdir() if f.suffix == ".safetensors"]
    assert sum(f.stat().st_size for f in weights) < 2.1 * sum(p.numel() for p in model.parameters()) + 20000  # float16
    metrics = json.loads((build / "metrics.json").read_text())
    assert metrics["ngrams"] == counts["held_out_bits_per_byte"]
    assert 0 < metrics["held_out_bits_per_byte"] < 8
    losses = pl.read_csv(build / "losses.csv")
    assert losses["loss"][-1] < losses["loss"][0]
    assert losses.columns == ["step", "tokens", "loss", "held_out"]
    assert not list((tmp_path / ".drillcore").rglob("*.pt")), "a checkpoint of a finished run would be resumed by the next"
    assert (build / "losses.png").read_bytes()[:4] == b"\x89PNG"
