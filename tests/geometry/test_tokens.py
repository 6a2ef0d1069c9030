"""Measures of the states of tokens, by definition and on planted signals."""

import numpy as np
import pytest

from pipeline.geometry import states
from pipeline.geometry.measure import Sample
from pipeline.geometry.tokens import TOKENS


def sample_of(h):
    """Sentences of one length (N, T, D) -> a sample."""
    return Sample(states.of_sentences(h.astype(np.float32), np.ones(len(h), dtype=bool)))


def value(name, h):
    return TOKENS[name].function(sample_of(h))


def test_cosines_within_and_between_sentences_by_definition(rng):
    h = rng.standard_normal((5, 4, 3)) + 0.4
    units = h / np.linalg.norm(h, axis=-1, keepdims=True)
    tokens = [(i, t) for i in range(5) for t in range(4)]
    between = [units[a] @ units[b] for a in tokens for b in tokens if a[0] != b[0]]
    within = [units[a] @ units[b] for a in tokens for b in tokens if a[0] == b[0] and a != b]
    assert value("token_cosine", h) == pytest.approx(np.mean(between), abs=1e-6)
    assert value("homogenisation", h) == pytest.approx(np.mean(within) - np.mean(between), abs=1e-6)


def test_tokens_that_become_their_sentence_are_homogeneous(rng):
    """Alike within a sentence, at right angles between them: 1. Independent tokens: 0."""
    alike = np.tile(np.eye(6)[:, None], (1, 4, 1))
    assert value("homogenisation", alike) == pytest.approx(1, abs=1e-6)
    assert abs(value("homogenisation", rng.standard_normal((100, 10, 200)))) < 0.01


@pytest.mark.parametrize("signal", [0.0, 0.5, 2.0])
def test_the_planted_signal_to_noise_is_found(rng, signal):
    """A sentence's signal with variance s^2 in each dimension, tokens with 1 around it: the noise of the mean is 1 / T.

    With N = 400 sentences and D = 50 dimensions, estimates are off by about .01 (s^2 T + 1).
    """
    h = signal * rng.standard_normal((400, 1, 50)) + rng.standard_normal((400, 8, 50))
    expected = signal**2 * 8
    assert value("signal_to_noise", h + 30) == pytest.approx(expected, abs=0.1 * (expected + 1))
    assert value("between_within", h + 30) == pytest.approx(signal**2 + 1 / 8, rel=0.1)


def test_the_norm_is_a_root_mean_square_and_the_share_is_by_dimension():
    h = np.array([[[3.0, 4, 0, 0, 0], [0, 0, 0, 0, 1]]])
    assert value("token_norm", h) == pytest.approx(np.sqrt((25 + 1) / 2))
    assert value("token_top_share", h) == pytest.approx(1)
    assert value("token_top_share", np.ones((2, 3, 12))) == pytest.approx(3 / 12)


@pytest.mark.parametrize("name", TOKENS)
def test_values_lie_in_their_span_and_below_their_maximum(rng, name):
    for length, dim in ((12, 5), (4, 30)):
        sample = sample_of(rng.standard_normal((20, length, dim)) + 1)
        measure, found = TOKENS[name], TOKENS[name].function(sample)
        assert measure.span[0] <= found <= measure.span[1]
        assert measure.maximum is None or found <= measure.maximum(sample) + 1e-6


@pytest.mark.parametrize("name", TOKENS)
def test_sentences_of_a_token_or_two_leave_undefined_what_needs_more(rng, name):
    found = TOKENS[name].function(sample_of(rng.standard_normal((6, 1, 4))))
    needs_two = {"homogenisation", "curvature", "between_within", "signal_to_noise"}
    assert np.isnan(found) == (name in needs_two)
