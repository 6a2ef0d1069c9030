import numpy as np
import pytest
import torch

from pipeline.fit.losses import cosent, ordered


def loss(cosines, labels, kept, scale):
    return cosent(cosines, ordered(torch.as_tensor(labels), torch.as_tensor(kept)), scale)


@pytest.mark.parametrize("graded", [False, True])
def test_cosent_is_the_printed_sum_over_kept_pairs(graded, rng):
    cosines, kept = rng.uniform(-1, 1, (9, 3)), rng.random((9, 3)) < 0.7
    labels = rng.integers(0, 5 if graded else 2, 9).astype(float)
    expected = []
    for k in range(3):
        total = 1.0
        for i in range(9):
            for j in range(9):
                if labels[i] > labels[j] and kept[i, k] and kept[j, k]:
                    total += np.exp(20 * (cosines[j, k] - cosines[i, k]))
        expected.append(np.log(total))
    assert loss(torch.tensor(cosines), labels, kept, 20).numpy() == pytest.approx(np.array(expected), rel=1e-12)


def test_pairs_held_out_have_no_gradient_and_others_have(rng):
    cosines = torch.tensor(rng.uniform(-1, 1, (12, 2)), requires_grad=True)
    kept = torch.tensor(np.arange(12)[:, None] % 2 == np.arange(2))
    loss(cosines, [0.0, 0, 1, 1] * 3, kept, 5).sum().backward()
    assert (cosines.grad[~kept] == 0).all()
    assert (cosines.grad[kept] != 0).all()


def test_cosent_of_one_label_is_zero_and_perfect_order_costs_little():
    cosines, kept = torch.tensor([[0.9], [-0.9]]), torch.ones(2, 1, dtype=bool)
    assert loss(cosines, [1.0, 1.0], kept, 20).tolist() == [0]
    right, wrong = (loss(cosines, labels, kept, 20).item() for labels in ([1.0, 0.0], [0.0, 1.0]))
    assert right < 1e-12
    assert wrong == pytest.approx(36, abs=1e-5)
