import numpy as np
import pytest

from pipeline.pool.names import Pooling
from pipeline.pool.tokens import OUTLIER, POOLINGS, mean, skip_outliers

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
    "skip_outliers": [3, -3],
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


@pytest.mark.parametrize(
    ("scaled", "left"),
    [
        *(([0], [2, 3, 6]), ([1], [1, 3, 6]), ([3], [1, 2, 3])),
        *(([0, 3], [2, 3]), ([1, 2], [1, 6])),
    ],
)
def test_planted_outliers_are_left_out_of_the_mean_by_hand(scaled, left):
    """The first, one in the middle, the last, and two of four: the lower median is that of an ordinary state."""
    h = COUNTING.copy()
    h[scaled] *= 100
    assert skip_outliers(h).tolist() == pytest.approx([np.mean(left), -np.mean(left)])
    assert abs(mean(h)[0]) > 20  # the opposite: the mean is little but the outliers


def test_of_two_tokens_one_can_be_an_outlier_by_hand():
    assert skip_outliers(np.array([[100, 100], [1, -1]], dtype=np.float32)).tolist() == [1, -1]


def test_a_state_is_an_outlier_above_the_border_and_not_on_it():
    h = np.array([[1, 0], [0, 1], [0, OUTLIER]], dtype=np.float32)
    assert np.array_equal(skip_outliers(h), mean(h))
    h[2, 1] = np.nextafter(h[2, 1], np.float32(np.inf))
    assert skip_outliers(h).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("outlying", [False, True])
def test_a_sentence_without_outliers_is_pooled_to_its_mean_bit_for_bit(rng, outlying):
    """Also beside a sentence that has one."""
    h = rng.uniform(1, 2, (3, 7, 5)).astype(np.float32)  # norms differ by less than 2
    if outlying:
        h[1, 4] *= 100
    same = [np.array_equal(pooled, of_mean) for pooled, of_mean in zip(skip_outliers(h), mean(h))]
    assert same == [True, not outlying, True]


def test_no_sentence_is_ever_empty(rng):
    """States of any length, from 1e-12 to 1e12: the pooled vector is a mean of half of them at least, by definition."""
    for tokens in range(1, 9):
        h = (rng.uniform(1, 2, (50, tokens, 3)) * 10 ** rng.uniform(-12, 12, (50, tokens, 1))).astype(np.float32)
        for sentence, pooled in zip(h.astype(np.float64), skip_outliers(h)):
            norms = np.sqrt((sentence**2).sum(axis=1))
            kept = sentence[norms <= OUTLIER * np.sort(norms)[(tokens - 1) // 2]]
            assert len(kept) >= tokens / 2
            assert pooled == pytest.approx(kept.mean(axis=0), rel=1e-5)


def test_where_half_of_the_states_are_zero_nothing_is_left_out():
    h = np.array([[0, 0], [0, 0], [3, 6]], dtype=np.float32)
    assert skip_outliers(h).tolist() == [1, 2]
