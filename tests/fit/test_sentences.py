import numpy as np
import pytest
import torch

from pipeline.fit.sentences import Sentences, means_of
from tests.pool.dumps import draw_states, write_tokens


@pytest.fixture
def drawn(rng):
    return draw_states(rng)


@pytest.mark.parametrize("store", ["float16", "float32"])
def test_padding_is_behind_the_tokens_of_a_sentence_in_any_order_and_layer(tmp_path, rng, drawn, store):
    ids = rng.permutation(17)[:12]
    sentences = Sentences(write_tokens(tmp_path / "states", drawn, store))
    assert sentences.lengths(ids).tolist() == [len(drawn[i][0]) for i in ids.tolist()]
    for layer in (0, 2):
        h, mask = sentences.padded(layer, ids)
        assert h.dtype == getattr(torch, store)
        for states, kept, i in zip(h.numpy(), mask.numpy(), ids.tolist()):
            assert np.array_equal(states[kept], drawn[i][layer].astype(states.dtype))
            assert (states[~kept] == 0).all()


def test_means_and_spread_by_numpy(tmp_path, drawn):
    ids = np.array(sorted(drawn))[::2]
    computed = means_of(Sentences(write_tokens(tmp_path / "states", drawn)), ids, at_once=4)
    for layer in range(3):
        exact = [drawn[i][layer].astype(float) for i in ids.tolist()]
        means = np.stack([h.mean(axis=0) for h in exact])
        assert computed.means[:, layer].numpy() == pytest.approx(means, abs=1e-6)
        assert computed.spread[layer].numpy() == pytest.approx(np.concatenate(exact).std(axis=0), rel=1e-5)


def test_a_dimension_without_spread_divides_by_no_zero(tmp_path, drawn):
    for layers in drawn.values():
        layers[0][:, 3] = 0
    computed = means_of(Sentences(write_tokens(tmp_path / "states", drawn)), np.arange(17))
    assert 0 < computed.spread[0, 3] < 1e-5
