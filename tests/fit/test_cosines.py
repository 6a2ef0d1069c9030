import numpy as np
import pytest
import torch

from pipeline.fit.cosines import attend, mixed_cosines, scaled_cosines
from pipeline.fit.sentences import Sentences
from pipeline.pool.learned import attention
from pipeline.score.similarities import cosine
from tests.pool.dumps import draw_states, write_tokens


def test_attention_of_padded_states_is_that_of_each_sentence(tmp_path, rng):
    drawn = draw_states(rng, dim=6)
    sentences, ids = Sentences(write_tokens(tmp_path / "states", drawn)), np.arange(17)
    queries = rng.standard_normal((3, 6)).astype(np.float32)
    h, mask = sentences.padded(1, ids)
    pooled = attend(h.float(), mask, torch.from_numpy(queries)).numpy()
    for vectors, i in zip(pooled, ids.tolist()):
        for vector, query in zip(vectors, queries):
            expected = attention(drawn[i][1].astype(np.float64), query.astype(np.float64))
            assert vector == pytest.approx(expected, abs=2e-6)


def test_cosines_of_scaled_vectors(rng):
    a, b, scale = (rng.standard_normal(shape) for shape in ((5, 4), (5, 4), (2, 4)))
    cosines = scaled_cosines(*map(torch.from_numpy, (a, b, scale))).numpy()
    assert cosines == pytest.approx(np.stack([cosine(s * a, s * b) for s in scale], axis=1), abs=1e-12)


def test_cosines_of_mixed_vectors(rng):
    a, b, weights = (rng.standard_normal(shape) for shape in ((5, 3, 4), (5, 3, 4), (2, 3)))  # pairs, layers, D
    alpha = np.exp(weights) / np.exp(weights).sum(1, keepdims=True)
    mixed = [[np.einsum("pld,l->pd", x, shares) for x in (a, b)] for shares in alpha]
    cosines = mixed_cosines(*map(torch.from_numpy, (a, b, weights))).numpy()
    assert cosines == pytest.approx(np.stack([cosine(*sides) for sides in mixed], axis=1), abs=1e-12)
