import numpy as np
import pytest
import torch

from pipeline.fit.learnable import LEARNABLE
from pipeline.fit.pair_states import PairStates
from pipeline.fit.sentences import Sentences
from pipeline.formats.fits import ARRAYS
from pipeline.score.similarities import cosine
from tests.fit.planted import CPU
from tests.pool.dumps import draw_states, write_tokens


@pytest.fixture
def drawn(rng):
    return draw_states(rng)


@pytest.fixture
def states(tmp_path, rng, drawn):
    sentences = Sentences(write_tokens(tmp_path / "states", drawn))
    return PairStates(sentences, *rng.integers(0, 17, (2, 30)), CPU)


def test_what_can_be_learned_has_a_file():
    assert list(LEARNABLE) == list(ARRAYS)


@pytest.mark.parametrize("name", ["attention", "diagonal"])
def test_at_the_start_a_pooling_of_each_layer_is_the_mean(drawn, states, name):
    pairs = np.arange(3, 20)
    cosines = list(LEARNABLE[name].cosines(states, LEARNABLE[name].started(2, 3, 8), pairs))
    first, second = states.ids[states.first[pairs]], states.ids[states.second[pairs]]
    assert len(cosines) == 3
    for layer, of_layer in enumerate(cosines):
        means = np.stack([drawn[i][layer].astype(np.float64).mean(axis=0) for i in range(17)])
        expected = cosine(means[first], means[second])
        assert of_layer.numpy() == pytest.approx(np.stack([expected, expected], axis=1), abs=1e-5)


def test_at_the_start_a_mix_has_equal_shares_of_layers_of_one_size(drawn, states):
    pairs, mix = np.arange(30), LEARNABLE["scalar_mix"]
    start = mix.started(2, 3, 8)
    means = np.stack([[layer.astype(np.float64).mean(axis=0) for layer in drawn[i]] for i in range(17)])[states.ids]
    size = np.sqrt((means**2).mean(axis=(0, 2)))
    assert states.size.numpy() == pytest.approx(size, rel=1e-5)
    mixed = (means / size[:, None]).sum(axis=1)
    (cosines,) = mix.cosines(states, start, pairs)
    expected = cosine(mixed[states.first], mixed[states.second])
    assert cosines.numpy() == pytest.approx(np.stack([expected, expected], axis=1), abs=1e-5)
    assert mix.applied(states, start).numpy() == pytest.approx(np.tile(1 / (3 * size), (2, 1)), rel=1e-5)


def test_gradients_are_the_same_from_run_to_run(states, rng):
    """A sentence that many pairs share gets a sum, whose order must not change."""
    queries, pairs = torch.from_numpy(rng.standard_normal((2, 3, 8))).float(), np.arange(30)

    def gradient():
        parameters = queries.clone().requires_grad_()
        sum(cosines.sum() for cosines in LEARNABLE["attention"].cosines(states, parameters, pairs)).backward()
        return parameters.grad

    once = gradient()
    assert torch.isfinite(once).all()
    assert (once != 0).any()
    assert all(torch.equal(once, gradient()) for _ in range(5))
