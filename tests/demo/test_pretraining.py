"""Training on a toy: the same losses again, also after a stop; what it learns; its schedule."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from pipeline.base.errors import InputError
from pipeline.demo import pretraining
from pipeline.demo.pretraining import HeldOut, held_out_bits, key_of, loss_of, new_model, optimizer_of, rate_at
from pipeline.demo.sequences import pack
from pipeline.demo.settings import Pretrain
from pipeline.dump import gate

VOCABULARY, END = 16, 0
TOY = Pretrain(
    hidden_size=32,
    num_hidden_layers=2,
    head_size=16,
    time_mix_extra_dim=4,
    time_decay_extra_dim=4,
    context=16,
    batch=4,
    tokens=60 * 64,
    learning_rate=0.01,
    warm_up=5,
    weight_decay=0.1,
    seed=3,
    evaluate_every=20,
    evaluate_tokens=40,
)
HELD = HeldOut([np.array([2, 3, 4, 5]), np.array([7, 8, 9, 10])], [4, 4])


@pytest.fixture(scope="module")
def stream():
    """Words of a small language: a letter is always followed by the next one."""
    starts = np.random.default_rng(0).integers(1, 9, 700)
    return pack([np.arange(start, start + 4) for start in starts], END, seed=0)


def new(settings=TOY, vocabulary=VOCABULARY, end=END):
    return new_model(settings, vocabulary, end)


def train(stream, checkpoint, log=lambda line: None, **changes):
    """-> (model, history) of the toy."""
    settings = dataclasses.replace(TOY, **changes)
    model = new(settings)
    return model, pretraining.train(model, stream, HELD, settings, checkpoint, log)


def test_the_same_seed_gives_the_same_first_50_losses_and_another_seed_does_not(stream, tmp_path):
    first, again, other = (
        train(stream, tmp_path / f"{i}.pt", seed=seed)[1]["loss"].to_list() for i, seed in enumerate((3, 3, 4))
    )
    assert len(first) == 60
    assert first[:50] == again[:50]
    assert first[:50] != other[:50]
    assert abs(first[0] - math.log(VOCABULARY)) < 1e-5  # the head starts at zero: all tokens alike
    assert np.mean(first[-5:]) < 0.7 * first[0]


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not whole", None])
def test_a_broken_checkpoint_is_named(stream, tmp_path, damage):
    path = tmp_path / "a.pt"
    if damage is None:
        torch.save({"model": {}}, path)
    else:
        path.write_bytes(damage)
    with pytest.raises(InputError, match=r"a\.pt is not a whole checkpoint of this model: remove it"):
        train(stream, path)


def test_a_checkpoint_belongs_to_text_settings_vocabulary_and_device(stream):
    assert key_of(stream, TOY, new()) == key_of(stream.copy(), dataclasses.replace(TOY), new())
    keys = {
        key_of(stream, TOY, new()),
        key_of(stream[:-1], TOY, new()),
        key_of(stream, dataclasses.replace(TOY, seed=9), new()),
        key_of(stream, TOY, new(vocabulary=17)),
        key_of(stream, TOY, new(end=1)),
        key_of(stream, TOY, new().to("meta")),
    }
    assert len(keys) == 6


class Stopped(Exception):
    pass


def test_a_stopped_run_goes_on_with_the_same_losses(stream, tmp_path):
    whole_model, whole_history = train(stream, tmp_path / "whole.pt")
    lines = []

    def stop(line):
        lines.append(line)
        if line.startswith("step 40 of"):
            raise Stopped

    with pytest.raises(Stopped):
        train(stream, tmp_path / "parts.pt", stop)
    assert (tmp_path / "parts.pt").exists()
    model, history = train(stream, tmp_path / "parts.pt", lines.append)
    assert any(line.startswith("resumed after step 20 of 60") for line in lines)
    assert history.drop("seconds").equals(whole_history.drop("seconds"))
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), whole_model.state_dict().values()))
    assert history["held_out"].is_not_null().to_list() == [step % 20 == 0 for step in range(1, 61)]
    assert history["tokens"].to_list() == [64 * step for step in range(1, 61)]


def test_held_out_bits_are_those_of_the_gate(stream, tmp_path):
    model, history = train(stream, tmp_path / "a.pt")
    assert held_out_bits(model, HELD) == pytest.approx(gate.bits_per_byte(model.eval(), HELD.ids, 8), rel=1e-5)
    assert history["held_out"][-1] == held_out_bits(model, HELD, TOY.evaluate_tokens)
    long = np.arange(1500) % 16
    twice = gate.bits_per_byte(model.eval(), [long[:1024], long[1024:]], 1500)  # a new run starts from a fresh state
    assert held_out_bits(model, HeldOut([long], [1500])) == pytest.approx(twice, rel=1e-5)
    first = gate.bits_per_byte(model.eval(), HELD.ids[:1], 4)
    assert held_out_bits(model, HELD, budget=1) == pytest.approx(first, rel=1e-5)


def test_the_weights_are_those_of_float16_at_the_end(stream, tmp_path):
    model, _ = train(stream, tmp_path / "a.pt", tokens=64)
    assert all(torch.equal(parameter, parameter.half().float()) for parameter in model.parameters())


def test_learning_rate_rises_and_falls_by_the_closed_form():
    rates = [rate_at(step, TOY) for step in range(TOY.steps)]
    assert rates[:5] == pytest.approx([0.002, 0.004, 0.006, 0.008, 0.01])
    assert rates[5] == pytest.approx(0.01)
    assert rates[5 + 11] == pytest.approx(0.01 * (0.1 + 0.9 * (1 + math.cos(math.pi * 0.2)) / 2))
    assert np.argmax(rates) in (4, 5)
    assert rates[-1] == pytest.approx(0.001, rel=0.02)


def test_decay_is_on_matrices_alone_and_every_parameter_is_trained(seed):
    model = new()
    decayed, free = optimizer_of(model, TOY).param_groups
    assert {parameter.ndim for parameter in decayed["params"]} == {2}
    assert len(decayed["params"]) == 2 * 8 + 1
    assert len(decayed["params"]) + len(free["params"]) == len(list(model.parameters()))
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    loss_of(model, torch.randint(0, VOCABULARY, (2, 17), generator=generator)).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
