"""Poolings of recurrent states: by SciPy's singular value decomposition, by closed form, and on planted signals."""

import numpy as np
import pytest
import scipy.linalg

from pipeline.base.errors import InputError
from pipeline.formats import vectors
from pipeline.pool import run
from pipeline.pool.batches import pool_layer
from pipeline.pool.inputs import Inputs
from pipeline.pool.names import MEAN, STATE, Pooling, mismatch, suited
from pipeline.pool.recurrent import RECURRENT, state_per_head, state_rank_k
from tests.helpers import contents
from tests.pool.dumps import draw_recurrent, draw_states, write_recurrent, write_statistics, write_tokens

NAMES = ["state", "state_rank_2", "state_per_head"]
COUNTING = np.array([[[[3, 0], [0, 4]], [[0, 0], [0, 2]]]], dtype=np.float32)  # one sentence, two heads of 2 x 2
BY_HAND = {  # of COUNTING; add a row for a new pooling
    "state": [3, 0, 0, 4, 0, 0, 0, 2],
    "state_rank_1": [0, 0, 0, 4, 0, 0, 0, 2],
    "state_per_head": [0.6, 0, 0, 0.8, 0, 0, 0, 1],
}


def pool(name, s):
    pooling = Pooling.parse(name)
    return pooling.function(s, *pooling.numbers)


def draw(rng, sentences=5, shape=(3, 4, 6)):
    return rng.standard_normal((sentences, *shape)).astype(np.float32)


def test_every_entry_is_tested():
    assert {Pooling.parse(name).entry for name in BY_HAND} == {Pooling.parse(name).entry for name in NAMES}
    assert {Pooling.parse(name).entry for name in NAMES} == set(RECURRENT)


@pytest.mark.parametrize("name", BY_HAND)
def test_poolings_by_hand(name):
    assert pool(name, COUNTING)[0] == pytest.approx(BY_HAND[name])


@pytest.mark.parametrize("name", BY_HAND)
def test_a_stack_of_sentences_is_pooled_one_by_one(name, rng):
    s = draw(rng)
    assert np.array_equal(pool(name, s), np.concatenate([pool(name, s[i : i + 1]) for i in range(len(s))]))


@pytest.mark.parametrize("k", [1, 2, 3])
def test_rank_k_is_the_truncated_decomposition_and_as_near_as_the_singular_values_say(rng, k):
    s = draw(rng)
    best = state_rank_k(s, k).reshape(s.shape)
    for matrix, approximation in zip(s.reshape(-1, 4, 6), best.reshape(-1, 4, 6)):
        left, sigma, right = scipy.linalg.svd(matrix.astype(np.float64))
        loop = sum(sigma[i] * np.outer(left[:, i], right[i]) for i in range(k))
        assert approximation == pytest.approx(loop, abs=1e-5)
        assert np.linalg.matrix_rank(approximation, tol=1e-5) == k
        assert np.linalg.norm(matrix - approximation) == pytest.approx(np.sqrt((sigma[k:] ** 2).sum()), rel=1e-5)


@pytest.mark.parametrize("k", [4, 5, 100])
def test_full_rank_is_the_state_itself(rng, k):
    s = draw(rng)
    assert np.array_equal(state_rank_k(s, k), s.reshape(len(s), -1))
    assert not np.array_equal(state_rank_k(s, 3), s.reshape(len(s), -1))


def test_each_head_has_length_one_and_keeps_its_direction(rng):
    s = draw(rng) * (10.0 ** rng.uniform(-20, 15, (5, 3, 1, 1))).astype(np.float32)
    s[2, 1] = 0
    heads = state_per_head(s).reshape(5, 3, -1)
    norms = np.linalg.norm(heads, axis=-1)
    assert norms[2, 1] == 0
    norms[2, 1] = 1
    assert norms == pytest.approx(1, abs=1e-5)
    cosines = np.vecdot(heads, s.reshape(5, 3, -1).astype(np.float64)) / np.linalg.norm(
        s.reshape(5, 3, -1).astype(np.float64), axis=-1
    ).clip(1e-300)
    cosines[2, 1] = 1
    assert cosines == pytest.approx(1, abs=1e-5)


def cosine_of_pairs(v):
    """Vectors of sentences 0 and 1, 2 and 3 ... -> the cosine of each pair."""
    a, b = v[::2], v[1::2]
    return np.vecdot(a, b) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def test_a_signal_in_a_small_head_is_drowned_until_each_head_has_length_one(rng):
    """Head 0 holds what two sentences share, head 1 noise that is 100 times as large."""
    shared = np.repeat(rng.standard_normal((40, 1, 8, 8)), 2, axis=0)
    s = np.concatenate([shared, 100 * rng.standard_normal((80, 1, 8, 8))], axis=1).astype(np.float32)
    error = 6 / np.sqrt(64 * 40)  # six standard errors of the mean of 40 cosines of noise of 64 dimensions
    assert abs(cosine_of_pairs(pool("state", s)).mean()) < error
    assert cosine_of_pairs(pool("state_per_head", s)).mean() == pytest.approx(0.5, abs=error)


def test_a_signal_of_rank_one_is_found_under_noise_of_full_rank(rng):
    """What two sentences share is u v^T of norm 16; noise of 32 x 32 has norm 32, and singular values of 11 at most."""
    u, v = rng.standard_normal((2, 40, 1, 32, 1))
    u, v = (x / np.linalg.norm(x, axis=2, keepdims=True) for x in (u, v))
    shared = np.repeat(16 * u @ v.swapaxes(2, 3), 2, axis=0)
    s = (shared + rng.standard_normal(shared.shape)).astype(np.float32)
    assert cosine_of_pairs(pool("state_rank_1", s)).mean() > cosine_of_pairs(pool("state", s)).mean() + 0.3


@pytest.mark.parametrize("store", ["float16", "float32"])
@pytest.mark.parametrize("name", NAMES)
def test_a_dump_is_pooled_in_the_order_of_sentence_id(tmp_path, rng, name, store, monkeypatch):
    monkeypatch.setattr(run, "GROUP_BYTES", 5 * 2 * 24 * 4)
    drawn = draw_recurrent(rng)
    dump = write_recurrent(tmp_path / "states", drawn, store)
    assert (dump.keep, dump.of_tokens, list(dump.layers)) == ("state", False, [1, 2])
    run.pool(dump, Pooling.parse(name), tmp_path / "v.parquet", "m", Inputs())
    file = vectors.read(tmp_path / "v.parquet", "pool@m")
    assert (file.info, file.layers, file.norms) == (vectors.Info("m", name, True), [1, 2], None)
    assert file.file.num_row_groups == 4  # of 5 sentences
    for layer in file.layers:
        expected = np.concatenate([pool(name, drawn[i][layer - 1].astype(np.float32)[None]) for i in range(17)])
        assert np.array_equal(file.layer(layer), expected)


def test_many_states_are_pooled_a_few_at_a_time(tmp_path, rng, monkeypatch):
    drawn = draw_recurrent(rng)
    dump, poolings = write_recurrent(tmp_path / "states", drawn), [Pooling.parse(name) for name in NAMES]
    whole = pool_layer(dump.batches[0], "layer_02", 2, poolings, Inputs())
    monkeypatch.setattr("pipeline.pool.batches.STATE_CHUNK", 50)
    for pooling, rows in pool_layer(dump.batches[0], "layer_02", 2, poolings, Inputs()).items():
        assert np.array_equal(rows, whole[pooling])


@pytest.mark.parametrize(
    ("write", "draw", "name", "message"),
    [
        *((write, draw_states, name, "needs the recurrent state after the last token") for name in NAMES
          for write in (write_tokens, write_statistics)),
        *((write_recurrent, draw_recurrent, name, "needs token states, but the dump kept recurrent states, which give "
           "state, state_rank_K, state_per_head") for name in ("mean", "last_4", "sif", "attention", "first_last")),
    ],
)  # fmt: skip
def test_a_pooling_of_another_kind_of_dump_is_refused_in_one_line(tmp_path, rng, write, draw, name, message):
    dump = write(tmp_path / "states", draw(rng))
    before = contents(tmp_path)
    with pytest.raises(InputError, match=f"^pooling {name} {message}") as caught:
        run.pool(dump, Pooling.parse(name), tmp_path / "v.parquet", "m", Inputs())
    assert "\n" not in str(caught.value)
    assert contents(tmp_path) == before


def test_a_study_of_both_kinds_has_one_pooling():
    rank = Pooling.parse("state_rank_2")
    last = Pooling.parse("last")
    assert [suited(last, keep) for keep in ("tokens", "pooled", "state")] == [last, last, STATE]
    assert [suited(rank, keep) for keep in ("tokens", "pooled", "state")] == [MEAN, MEAN, rank]
    assert mismatch(rank, "state") is None
    assert mismatch(last, "tokens") is None
