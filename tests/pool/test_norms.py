"""How the norms of states are spread: by hand, tokens against statistics, and what the file of vectors says."""

import numpy as np
import pytest

from pipeline.formats import vectors
from pipeline.formats.norms import POSITIONS
from pipeline.pool import run
from pipeline.pool.inputs import Inputs
from pipeline.pool.names import KINDS, Pooling
from pipeline.pool.norms import AVERAGED, of_statistics, of_tokens, squared_norms
from tests.pool.dumps import draw_states, write_statistics, write_tokens

PLACES = {"first": 0, "other": 2, "last": -1}


def planted(rng, place, sentences=17, layers=3):
    """States of norms between sqrt(8) and sqrt(32), at layer 1 one position of each sentence is 100 times as long."""
    drawn = {}
    for i in rng.permutation(sentences).tolist():
        drawn[i] = [rng.uniform(1, 2, (4 + i % 5, 8)).astype(np.float16) for _ in range(layers)]
        drawn[i][1][PLACES[place]] *= np.float16(100)
    return drawn


def pooled(dump, folder, name="mean"):
    run.pool(dump, Pooling.parse(name), folder / "v.parquet", "m", Inputs())
    return vectors.read(folder / "v.parquet", "pool@m").norms


def measured(h):
    """States of sentences of one length (S, T, D) -> (S, 5)."""
    return of_tokens(squared_norms(h), np.arange(0, h.shape[0] * h.shape[1] + 1, h.shape[1]))


def test_shares_and_positions_by_hand():
    h = np.array([[[3, 0], [0, 1], [1, 1]], [[1, 0], [0, 1], [0, 2]], [[1, 0], [2, 1], [0, 2]], np.zeros((3, 2))])
    expected = [[9 / 12, 1, 0, 0], [4 / 6, 0, 1, 0], [5 / 10, 0, 0, 1], [1 / 3, 1, 0, 0]]
    assert measured(h)[:, [0, 2, 3, 4]] == pytest.approx(np.array(expected))
    assert measured(h)[:, 1] == pytest.approx(np.full(4, 1 / 3))


def test_a_single_token_is_the_first_and_holds_everything():
    assert measured(np.ones((1, 1, 4), dtype=np.float32)).tolist() == [[1, 1, 1, 0, 0]]


def test_a_sentence_alone_is_measured_as_in_a_stack(rng):
    h = rng.standard_normal((9, 5, 8)).astype(np.float32)
    assert np.array_equal(measured(h), np.concatenate([measured(sentence[None]) for sentence in h]))


@pytest.mark.parametrize("place", ["first", "last"])
def test_statistics_give_what_tokens_give_where_an_end_holds_most(tmp_path, rng, place):
    drawn = planted(rng, place)
    for batch in write_statistics(tmp_path / "states", drawn).batches:
        rows = of_statistics(batch, "layer_01")
        for row, i in zip(rows, batch["sentence_id"].to_pylist()):
            assert row == pytest.approx(measured(drawn[i][1][None].astype(np.float64))[0], rel=1e-5)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("write", [write_tokens, write_statistics])
def test_the_file_of_vectors_says_how_the_norms_are_spread(tmp_path, rng, place, write):
    """Against the definition in float64, sentence by sentence."""
    drawn = planted(rng, place)
    found = pooled(write(tmp_path / "states", drawn), tmp_path)
    assert (found.layers, found.averaged, found.every_position) == ([0, 1, 2], list(POSITIONS), write is write_tokens)
    assert found.even == pytest.approx(np.mean([1 / len(layers[0]) for layers in drawn.values()]))
    if write is write_tokens:
        squares = [[(layer.astype(np.float64) ** 2).sum(axis=1) for layer in layers] for layers in drawn.values()]
        shares = [[of_layer.max() / of_layer.sum() for of_layer in layers] for layers in squares]
        assert found.share == pytest.approx(np.mean(shares, axis=0), rel=1e-5)
    if write is write_tokens or place != "other":
        assert found.share[1] > 0.99
        assert {position: parts[1] for position, parts in found.largest.items()} == {
            position: float(position == place) for position in POSITIONS
        }
    else:  # not seen by the two ends
        assert found.share[1] < 0.01
    assert [sum(parts) for parts in zip(*found.largest.values())] == pytest.approx([1, 1, 1])


@pytest.mark.parametrize("sentences", [1, 4, 17])
def test_record_batches_of_any_size_give_the_same(tmp_path, rng, sentences):
    drawn = draw_states(rng)
    whole = pooled(write_tokens(tmp_path / "whole", drawn, sentences_a_batch=17), tmp_path)
    parts = pooled(write_tokens(tmp_path / "parts", drawn, sentences_a_batch=sentences), tmp_path)
    assert parts.share == pytest.approx(whole.share, rel=1e-12)  # float64 sums in another order
    for position in POSITIONS:
        assert parts.largest[position] == pytest.approx(whole.largest[position], abs=1e-12)


@pytest.mark.parametrize(
    ("name", "averaged", "layers"),
    [
        *(("mean", POSITIONS, [0, 1, 2]), ("skip_first", ("last", "other"), [0, 1, 2])),
        *(("skip_outliers", (), [0, 1, 2]), ("last_4", (), [0, 1, 2])),
        *(("layers_0_2", POSITIONS, [0, 2]), ("first_last", POSITIONS, [1, 2])),
    ],
)
def test_what_a_pooling_leaves_out_is_said(tmp_path, rng, name, averaged, layers):
    found = pooled(write_tokens(tmp_path / "states", draw_states(rng)), tmp_path, name)
    assert (tuple(found.averaged), found.layers) == (averaged, layers)


def test_what_averages_positions_is_a_pooling():
    assert set(AVERAGED) <= set(KINDS)
