"""What is computed of the states of each sentence, against closed forms and slow definitions."""

import numpy as np
import pytest
from scipy import special, stats

from pipeline.geometry import states
from tests.pool.dumps import draw_states, write_statistics, write_tokens

BOTH = {"mean", "tokens", "square", "variance"}
"""columns of either kind of dump"""


def angle(a, b):
    return np.degrees(np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b)))


def by_definition(h):
    """One sentence (T, D) -> its columns, with loops."""
    h = h.astype(np.float64)
    length, mean = len(h), h.mean(axis=0)
    units = h / np.linalg.norm(h, axis=1, keepdims=True)
    steps = np.diff(h, axis=0)
    values = np.linalg.svd(h, compute_uv=False) ** 2
    shares = h @ mean / (length * mean @ mean)
    pairs = [units[s] @ units[t] for s in range(length) for t in range(length) if s != t]
    turns = [angle(steps[t], steps[t + 1]) for t in range(length - 2)]
    return {
        "mean": mean,
        "tokens": length,
        "square": (h**2).sum(axis=1).mean(),
        "variance": ((h - mean) ** 2).sum() / (length - 1) if length > 1 else np.nan,
        "token_directions": units.mean(axis=0),
        "token_energies": (h**2).mean(axis=0),
        "within_cosine": np.mean(pairs) if pairs else np.nan,
        "carriers": length * (shares**2).sum(),
        "curvature": np.mean(turns) if turns else np.nan,
        "token_matrix_entropy": stats.entropy(values),
        "token_softmax_entropy": stats.entropy(special.softmax(h, axis=1), axis=1).mean(),
    }


def test_columns_are_those_of_the_definition_in_the_order_that_was_asked_for(rng, tmp_path):
    drawn = draw_states(rng, sentences=17, dim=8, longest=11)
    dump = write_tokens(tmp_path / "states", drawn)
    some = np.sort(rng.permutation(17)[:9])
    for layer in dump.layers:
        found = states.columns(dump, layer, some, np.ones(9, dtype=bool))
        for at, sentence in enumerate(some.tolist()):
            for name, expected in by_definition(drawn[sentence][layer]).items():
                close = {"rel": 2e-3, "abs": 2e-4} if name == "curvature" else {"rel": 1e-4, "abs": 1e-5}
                assert found[name][at] == pytest.approx(expected, nan_ok=True, **close), name


def test_only_what_is_traced_is_looked_at_closely(rng, tmp_path):
    drawn = {i: [rng.standard_normal((6, 4)).astype(np.float16)] for i in range(8)}
    dump = write_tokens(tmp_path / "states", drawn)
    traced = np.arange(8) % 3 == 0
    every, some = (states.columns(dump, 0, np.arange(8), rows) for rows in (np.ones(8, dtype=bool), traced))
    for name in every:
        expected = np.where(traced, every[name], np.nan) if name in states.TRACED else every[name]
        assert some[name] == pytest.approx(expected, nan_ok=True, rel=1e-6)


def test_statistics_give_what_follows_from_sums(rng, tmp_path):
    drawn = draw_states(rng, sentences=13)
    tokens, statistics = write_tokens(tmp_path / "a", drawn), write_statistics(tmp_path / "b", drawn)
    some, traced = np.array([1, 4, 5, 12]), np.ones(4, dtype=bool)
    of_tokens, of_statistics = (states.columns(dump, 1, some, traced) for dump in (tokens, statistics))
    assert set(of_statistics) == BOTH
    for name in BOTH:
        assert of_statistics[name] == pytest.approx(of_tokens[name], nan_ok=True, rel=1e-4, abs=1e-5)


def test_the_curvature_of_known_paths():
    steps = np.arange(6, dtype=np.float32)
    line = np.stack([steps, 2 * steps], axis=1)
    back_and_forth = np.stack([steps % 2, steps * 0], axis=1)
    stairs = np.stack([(steps + 1) // 2, steps // 2], axis=1)
    found = states.curvature(np.stack([line, back_and_forth, stairs]))
    assert found == pytest.approx([0, 180, 90], abs=0.1)


def test_independent_tokens_turn_by_120_degrees(rng):
    """(b - a) . (c - b) = -|b|^2 on average, and both have |.|^2 = 2 |b|^2: a cosine of -1/2. An angle in 400
    dimensions is off by some 2.5 degrees, and 500 of them are averaged.
    """
    found = states.curvature(rng.standard_normal((10, 50, 400)).astype(np.float32))
    assert found.mean() == pytest.approx(120, abs=1)


def test_a_token_that_repeats_has_no_direction_and_is_left_out():
    path = np.array([[0, 0], [1, 0], [1, 0], [1, 1], [1, 2]], dtype=np.float32)
    assert states.curvature(path[None]) == pytest.approx(0, abs=0.1)  # only the last two steps meet
    assert np.isnan(states.curvature(np.ones((1, 5, 2), np.float32)))
    assert np.isnan(states.curvature(path[None, :2]))


def test_carriers_in_closed_form(rng):
    """Equal tokens: 1. One of T that is not 0: T. Of ten at right angles, four with a norm of 1: 10 / 4."""
    same = np.tile(rng.standard_normal(5), (6, 1))
    one = np.zeros((6, 5))
    one[2] = rng.standard_normal(5)
    four = np.zeros((10, 12))
    four[np.arange(4), np.arange(4)] = 1
    for h, expected in ((same, 1), (one, 6), (four, 2.5)):
        assert states.carriers((h @ h.mean(axis=0))[None]) == pytest.approx(expected)
    assert np.isnan(states.carriers(np.zeros((1, 4))))


def test_matrix_entropies_in_closed_form(rng):
    orthonormal = np.linalg.qr(rng.standard_normal((9, 9)))[0]
    assert states.matrix_entropies(orthonormal[None, :4]) == pytest.approx(np.log(4), abs=1e-6)
    assert states.matrix_entropies(np.ones((1, 5, 3))) == pytest.approx(0, abs=1e-6)
    assert states.matrix_entropies(np.zeros((1, 5, 3))) == pytest.approx(0)


def test_a_state_of_zeros_breaks_nothing():
    h = np.zeros((1, 3, 4), np.float32)
    h[0, 0] = [1, 2, 2, 0]
    found = states.of_sentences(h, np.ones(1, dtype=bool))
    assert found["within_cosine"] == pytest.approx(0)
    assert found["token_directions"][0] == pytest.approx(np.array([1, 2, 2, 0]) / 9)
