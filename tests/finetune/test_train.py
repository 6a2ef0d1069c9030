"""The loop: it learns, it goes on where it was stopped, it keeps the best epoch."""

import numpy as np
import pytest
import torch

from pipeline.base.errors import InputError
from pipeline.finetune import train as loop
from pipeline.finetune.checkpoint import key_of
from pipeline.finetune.learning import batches, divided
from pipeline.finetune.losses import LOSSES
from pipeline.finetune.method import trainee
from pipeline.finetune.train import loss_of, rate_at, train


def quiet(line):
    pass


@pytest.mark.parametrize("loss", ["in_batch_negatives", "labelled_negatives", "cosent"])
def test_eight_pairs_are_learned_by_heart(loss, network, settings, material):
    pairs, ids = material(12)
    given = settings(loss=loss, rank=8, dropout=0.0, epochs=1, folds=3, batch_pairs=8)
    learning = divided(pairs, ids, given)
    made = trainee(network("rwkv6"), given)
    optimizer = torch.optim.Adam(made.weights.values(), lr=0.02)
    (chosen,) = batches(learning, given, 1)
    losses = []
    for _ in range(120):
        value = loss_of(made, learning, chosen, given)
        value.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(value.item())
    assert losses[-1] < 0.1 * losses[0]


@pytest.mark.parametrize("loss", LOSSES)
def test_a_run_that_was_stopped_ends_with_the_weights_of_one_that_was_not(loss, network, settings, material, tmp_path):
    pairs, ids = material(24)
    given = settings(loss=loss, accumulate=2, patience=9)
    learning = divided(pairs, ids, given)
    whole = train(trainee(network("rwkv6"), given), learning, given, tmp_path / "whole", quiet)

    def stop(line):
        if line.startswith("epoch 2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(trainee(network("rwkv6"), given), learning, given, tmp_path / "stopped", stop)
    said = []
    resumed = train(trainee(network("rwkv6"), given), learning, given, tmp_path / "stopped", said.append)
    assert said[0] == "going on after epoch 2"
    assert len(whole.history) == len(resumed.history) == 4
    assert whole.history[1:] == resumed.history[1:]
    assert all(torch.equal(whole.weights[name], resumed.weights[name]) for name in whole.weights)
    again = train(trainee(network("rwkv6"), given), learning, given, tmp_path / "stopped", said.append)
    assert said[-1] == "going on after epoch 3"  # and nothing is trained
    assert again.history[1:] == whole.history[1:]


def test_a_damaged_checkpoint_is_said_and_made_anew(network, settings, material, tmp_path):
    pairs, ids = material(16)
    given = settings(epochs=1)
    (tmp_path / "checkpoint").write_bytes(b"cut")
    said = []
    done = train(
        trainee(network("rwkv6"), given), divided(pairs, ids, given), given, tmp_path / "checkpoint", said.append
    )
    assert "cannot be read" in said[0]
    assert len(done.history) == 2


def test_the_best_epoch_is_kept_and_patience_ends_it(network, settings, material, tmp_path, monkeypatch):
    pairs, ids = material(16)
    given = settings(epochs=9, patience=2)
    rho = iter([0.1, 0.3, 0.2, 0.2, 0.9])
    monkeypatch.setattr(loop, "held_out_rho", lambda *_: next(rho))
    seen = {}
    made = trainee(network("rwkv6"), given)

    def log(line):
        seen[line.split(":")[0]] = loop.snapshot(made)

    done = train(made, divided(pairs, ids, given), given, tmp_path / "checkpoint", log)
    assert [row["rho"] for row in done.history] == [0.1, 0.3, 0.2, 0.2]
    assert done.best["epoch"] == 1
    assert all(torch.equal(done.weights[name], seen["epoch 1"][name]) for name in done.weights)


def test_where_nothing_is_better_the_model_stays_as_it_was(network, settings, material, tmp_path, monkeypatch):
    pairs, ids = material(16)
    given = settings(epochs=2)
    rho = iter([0.5, 0.5, 0.4])
    monkeypatch.setattr(loop, "held_out_rho", lambda *_: next(rho))
    done = train(trainee(network("rwkv6"), given), divided(pairs, ids, given), given, tmp_path / "checkpoint", quiet)
    assert done.best["epoch"] == 0
    assert all((value == 0).all() for name, value in done.weights.items() if "lora_B" in name)


def test_a_planted_rule_is_found_and_permuted_labels_hold_none(network, settings, rng, tmp_path):
    """Paraphrases share their first token; random weights and the mean do not see it well."""
    count = 120
    from pipeline.finetune.pairs import TrainPairs

    labels = np.arange(count) % 2.0
    first = [rng.integers(1, 40, 6).astype(np.int32) for _ in range(count)]
    second = [rng.integers(1, 40, 6).astype(np.int32) for _ in range(count)]
    for a, b, label in zip(first, second, labels):
        b[0] = a[0] if label else (a[0] + 7) % 39 + 1
    numbers = np.arange(count)
    pairs = TrainPairs(["x"] * 2 * count, numbers, numbers + count, labels, numbers, 0)
    rho = {}
    for permuted in (False, True):
        given = settings(rank=8, epochs=6, patience=6, batch_pairs=30, shuffle_labels=permuted, pooling="first")
        learning = divided(pairs, [*first, *second], given)
        done = train(trainee(network("rwkv6"), given), learning, given, tmp_path / str(permuted), quiet)
        rho[permuted] = done.history[-1]["rho"]
    assert rho[False] > 0.5  # it is .8 to 1; by chance it would be within .2 of 0
    assert divided(pairs, [*first, *second], settings(shuffle_labels=True)).labels.tolist() != labels.tolist()


def test_batches_cover_every_learned_pair_once_and_differ_from_epoch_to_epoch(settings, material):
    pairs, ids = material(40)
    given = settings(batch_pairs=7)
    learning = divided(pairs, ids, given)
    orders = [np.concatenate(batches(learning, given, epoch)) for epoch in (1, 2)]
    assert [sorted(order) for order in orders] == [sorted(learning.learned)] * 2
    assert orders[0].tolist() != orders[1].tolist()
    assert not set(learning.learned) & set(learning.held)
    paraphrases = np.concatenate(batches(learning, settings(loss="in_batch_negatives"), 1))
    assert (pairs.labels[paraphrases] == 1).all()


def test_what_is_pooled_of_a_text_is_learned_from_and_is_part_of_the_key(network, settings, material):
    pairs, ids = material(12)
    given, longer = settings(dropout=0.0, folds=3), [np.concatenate([[1, 2], of_text, [3]]) for of_text in ids]
    spans = np.array([[2, len(of_text) - 1] for of_text in longer])
    made, chosen = trainee(network("bert"), given), np.arange(8)
    whole, part, plain = divided(pairs, longer, given), divided(pairs, longer, given, spans), divided(pairs, ids, given)
    losses = [loss_of(made, learning, chosen, given).item() for learning in (whole, part, plain)]
    assert len(set(losses)) == 3
    keys = [key_of({}, learning, given, {}) for learning in (whole, part, divided(pairs, longer, given))]
    assert keys[0] == keys[2] != keys[1]


def test_the_rate_rises_over_a_tenth_of_the_steps_and_then_falls():
    rates = [rate_at(step, 100) for step in range(100)]
    assert rates[9] == max(rates) == 1
    assert rates[0] == pytest.approx(0.1)
    assert np.diff(rates[:10]).min() > 0 > np.diff(rates[10:]).max()
    assert 0 < rates[-1] < 0.02


@pytest.mark.parametrize(
    ("changes", "labels", "message"),
    [
        ({"folds": 99}, None, "16 components: too few to hold one of finetune.folds = 99 out"),
        ({"loss": "labelled_negatives", "positive": 7.0}, None, "0 train pairs are labelled 7 or more"),
        ({}, np.ones(16), "needs two labels"),
    ],
)
def test_pairs_of_which_nothing_can_be_learned_are_one_line(changes, labels, message, settings, material):
    from dataclasses import replace

    pairs, ids = material(16)
    pairs = pairs if labels is None else replace(pairs, labels=labels)
    with pytest.raises(InputError, match=message):
        divided(pairs, ids, settings(**changes))
