import numpy as np
import pytest

from pipeline.pool.names import Pooling
from pipeline.pool.tokens import POOLINGS

COUNTING = np.array([[1, -1], [2, -2], [3, -3], [6, -6]], dtype=np.float32)  # T = 4, D = 2
NORMS = 1 * 1 + 2 * 2 + 3 * 3 + 6 * 6
BY_HAND = {  # of COUNTING; add a row for a new pooling
    "mean": [3, -3],
    "last": [6, -6],
    "first": [1, -1],
    "max": [6, -1],
    "norm_mean": [NORMS / 12, -NORMS / 12],
    "last_2": [4.5, -4.5],
    "last_9": [3, -3],
    "skip_first": [11 / 3, -11 / 3],
    "mean_max": [3, -3, 6, -1],
    "weighted_mean": [(1 * 1 + 2 * 2 + 3 * 3 + 4 * 6) / 10, -(1 * 1 + 2 * 2 + 3 * 3 + 4 * 6) / 10],
}


def pool(name, h):
    pooling = Pooling.parse(name)
    return pooling.function(h, *pooling.numbers)


def test_every_entry_is_tested():
    assert {Pooling.parse(name).entry for name in BY_HAND} == set(POOLINGS)


@pytest.mark.parametrize("name", BY_HAND)
def test_poolings_by_hand(name):
    assert pool(name, COUNTING) == pytest.approx(np.array(BY_HAND[name], dtype=float))


@pytest.mark.parametrize("name", BY_HAND)
def test_one_token_is_pooled_to_itself(name):
    assert np.array_equal(pool(name, COUNTING[2:3]), np.tile(COUNTING[2], 2 if name == "mean_max" else 1))


def test_zeros_have_no_norm():
    assert POOLINGS["norm_mean"](np.zeros((4, 3), dtype=np.float32)).tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", BY_HAND)
def test_a_stack_of_sentences_is_pooled_one_by_one(name, rng):
    h = rng.standard_normal((5, 7, 3)).astype(np.float32)
    expected = np.stack([pool(name, sentence) for sentence in h])
    assert pool(name, h) == pytest.approx(expected, rel=1e-5, abs=1e-6)  # float32 sums in another order
