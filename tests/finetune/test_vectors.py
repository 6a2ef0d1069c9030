"""Vectors in a padded batch against those of the stages, one sentence at a time."""

import numpy as np
import pytest
import torch

from pipeline.finetune import settings as names
from pipeline.finetune.method import recompute_blocks, trainee
from pipeline.finetune.vectors import POOLINGS, vectors
from pipeline.models.layers import hidden_layers


@pytest.mark.parametrize("family", ["rwkv6", "rwkv7", "llama", "bert"])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_batch_of_many_equals_batches_of_one(family, pooling, network, rng):
    model = network(family)
    ids = [rng.integers(1, 40, length).astype(np.int32) for length in (7, 2, 5, 5, 1, 9)]
    found = vectors(model, ids, 2, pooling)
    for row, of_sentence in zip(found, ids):
        (states,) = hidden_layers(model, torch.from_numpy(of_sentence).long()[None], [2])
        expected = {"mean": states[0].mean(0), "first": states[0, 0], "last": states[0, -1]}[pooling]
        torch.testing.assert_close(row, expected, rtol=1e-5, atol=1e-5)


def test_the_gradient_through_rwkv_is_that_of_finite_differences(network, settings, rng):
    model = network("rwkv6").double()
    made = trainee(model, settings(dropout=0.0))
    model.double()
    ids = [rng.integers(1, 40, 6).astype(np.int32) for _ in range(2)]
    weight = next(p for name, p in made.weights.items() if "receptance" in name and "lora_B" in name)
    direction, step = torch.randn_like(weight), 1e-6

    def value():
        return (vectors(made.model, ids, made.layer, "mean") ** 2).sum()

    (gradient,) = torch.autograd.grad(value(), weight)
    with torch.no_grad():
        weight.add_(step * direction)
        above = value()
        weight.sub_(2 * step * direction)
        slope = (above - value()) / (2 * step)
    assert (gradient * direction).sum().item() == pytest.approx(slope.item(), rel=1e-5)


@pytest.mark.parametrize("family", ["rwkv6", "llama"])
def test_blocks_computed_again_give_the_same_gradients(family, network, settings, rng):
    ids = [rng.integers(1, 40, 6).astype(np.int32) for _ in range(3)]
    gradients = []
    for again in (False, True):
        made = trainee(network(family), settings(method="full"))
        if again:
            recompute_blocks(made.model)
        vectors(made.model, ids, made.layer, "mean").square().sum().backward()
        gradients.append({name: p.grad for name, p in made.weights.items() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient)


def test_every_name_of_the_settings_has_a_pooling():
    assert set(POOLINGS) == set(names.POOLINGS)
