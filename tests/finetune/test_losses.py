"""The losses of a batch against sums written out, and their gradients against finite differences."""

import numpy as np
import pytest
import torch

from pipeline.finetune import settings
from pipeline.finetune.losses import LOSSES, Batch


@pytest.fixture
def batch(rng):
    labels = np.array([1, 0, 1, 1, 0, 1.0])
    component = np.array([0, 1, 2, 2, 3, 4])
    return Batch(torch.tensor(labels), torch.tensor(component), torch.tensor(labels == 1))


@pytest.fixture
def sides(rng):
    return [torch.tensor(rng.normal(size=(6, 5)), requires_grad=True) for _ in range(2)]


def cosine(a, b):
    a, b = a.detach().numpy(), b.detach().numpy()
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def contrast(first, second, batch, scale, with_labelled):
    """The definition: a sum over candidates for each paraphrase, in both directions."""
    at = [i for i in range(6) if batch.positive[i]]
    losses = []
    for one, other in ((first, second), (second, first)):
        for i in at:
            total = 0.0
            for j in at:
                if j == i or batch.component[j] != batch.component[i]:
                    total += np.exp(scale * cosine(one[i], other[j]))
            if with_labelled:
                total += sum(np.exp(scale * cosine(first[k], second[k])) for k in range(6) if not batch.positive[k])
            losses.append(np.log(total) - scale * cosine(one[i], other[i]))
    return np.mean(losses)


@pytest.mark.parametrize(("name", "with_labelled"), [("in_batch_negatives", False), ("labelled_negatives", True)])
def test_contrast_is_the_sum_written_out(name, with_labelled, sides, batch):
    expected = contrast(*sides, batch, 5.0, with_labelled)
    assert LOSSES[name](*sides, batch, 5.0).item() == pytest.approx(expected, rel=1e-12)


def test_simcse_is_the_sum_written_out(sides, batch):
    first, second = sides
    rows = [[np.exp(5 * cosine(first[i], second[j])) for j in range(6)] for i in range(6)]
    expected = np.mean([-np.log(row[i] / sum(row)) for i, row in enumerate(rows)])
    assert LOSSES["simcse"](*sides, batch, 5.0).item() == pytest.approx(expected, rel=1e-12)


def test_cosent_is_the_sum_written_out(sides, batch):
    values = [cosine(a, b) for a, b in zip(*sides)]
    wrong = [
        np.exp(5 * (values[j] - values[i])) for i in range(6) for j in range(6) if batch.labels[i] > batch.labels[j]
    ]
    assert LOSSES["cosent"](*sides, batch, 5.0).item() == pytest.approx(np.log(1 + sum(wrong)), rel=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_those_of_finite_differences(name, sides, batch):
    assert torch.autograd.gradcheck(lambda a, b: LOSSES[name](a, b, batch, 5.0), sides, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", ["in_batch_negatives", "labelled_negatives"])
def test_a_batch_without_paraphrases_teaches_nothing_and_breaks_nothing(name, sides, batch):
    none = Batch(batch.labels * 0, batch.component, batch.positive & False)
    loss = LOSSES[name](*sides, none, 5.0)
    loss.backward()
    assert loss.item() == 0
    assert all((side.grad == 0).all() for side in sides)


def test_a_labelled_negative_is_pushed_apart_and_without_it_is_not(sides, batch):
    for name, moved in (("labelled_negatives", True), ("in_batch_negatives", False)):
        (gradient,) = torch.autograd.grad(LOSSES[name](*sides, batch, 5.0), sides[0])
        assert bool((gradient[~batch.positive] != 0).any()) is moved


def test_every_name_of_the_settings_has_a_loss():
    assert set(LOSSES) == set(settings.LOSSES)
