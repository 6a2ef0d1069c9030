import numpy as np
import pytest
import torch

from pipeline.formats import fits
from pipeline.pool.learned import LEARNED, attention, attention_weights, diagonal
from pipeline.pool.mixes import MIXES


def test_attention_by_torch(rng):
    h, query = rng.standard_normal((5, 7, 6)), rng.standard_normal(6)
    alpha = torch.softmax(torch.from_numpy(h @ query / 6**0.5), dim=-1)
    assert attention_weights(h, query) == pytest.approx(alpha.numpy(), abs=1e-12)
    expected = torch.einsum("bt,btd->bd", alpha, torch.from_numpy(h)).numpy()
    assert attention(h, query) == pytest.approx(expected, abs=1e-12)


def test_attention_at_its_ends_is_the_mean_and_one_token(rng):
    h, query = rng.standard_normal((5, 7, 6)), rng.standard_normal(6)
    assert attention(h, 0 * query) == pytest.approx(h.mean(axis=1), abs=1e-12)
    largest = np.argmax(h @ query, axis=1)
    assert attention(h, 1e9 * query) == pytest.approx(h[np.arange(5), largest], abs=1e-9)  # no overflow either


def test_diagonal_scales_the_mean(rng):
    h, scale = rng.standard_normal((5, 7, 6)), rng.standard_normal(6)
    assert diagonal(h, scale) == pytest.approx(scale * h.mean(axis=1), abs=1e-12)


def test_what_is_learned_has_a_file_and_what_has_a_file_is_learned_or_a_mix():
    assert set(LEARNED) <= set(fits.ARRAYS) <= set(LEARNED) | set(MIXES)
