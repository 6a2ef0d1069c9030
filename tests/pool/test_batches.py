import numpy as np
import pytest

from pipeline.base.errors import InputError
from pipeline.formats import states
from pipeline.pool import batches
from pipeline.pool.batches import chunks, pool_layer
from pipeline.pool.inputs import Inputs
from pipeline.pool.learned import LEARNED
from pipeline.pool.names import MEAN, Pooling
from pipeline.pool.tokens import mean
from pipeline.pool.weighted import WEIGHTED
from tests.pool.dumps import draw_states, write_statistics, write_tokens


@pytest.mark.parametrize("at_once", [1, 2, 32])
def test_chunks_hold_every_sentence_once_in_order(tmp_path, rng, monkeypatch, at_once):
    monkeypatch.setattr(batches, "CHUNK", at_once)
    drawn = draw_states(rng, sentences=30, longest=3)  # neighbours of one length
    dump, seen = write_tokens(tmp_path / "states", drawn, sentences_a_batch=30), []
    for h, ids in chunks(dump.batches[0], "layer_02"):
        assert (h.dtype, len(h)) == (np.float32, len(ids))
        assert len(ids) <= at_once
        for sentence, i in zip(h, ids.tolist()):
            assert np.array_equal(sentence, drawn[i][2].astype(np.float32))
        seen += ids.tolist()
    assert seen == list(drawn)


def test_poolings_take_their_own_weights_and_parameters(tmp_path, rng):
    """Each sentence by the definition in float64."""
    drawn = draw_states(rng)
    dump = write_tokens(tmp_path / "states", drawn)
    weights = {name: {i: rng.random(len(h[0])).astype(np.float32) for i, h in drawn.items()} for name in WEIGHTED}
    fits = {name: {run: {1: rng.standard_normal(8).astype(np.float32)} for run in (0, 1)} for name in LEARNED}
    names = [*WEIGHTED, *LEARNED, *(f"{name}_1" for name in LEARNED), "mean"]
    poolings = [Pooling.parse(name) for name in names]
    for batch in dump.batches:
        pooled = pool_layer(batch, "layer_01", 1, poolings, Inputs(weights, fits))
        assert list(pooled) == poolings
        for at, i in enumerate(states.sentences_of(batch).tolist()):
            h = drawn[i][1].astype(np.float64)
            for pooling in poolings:
                extra = ()
                if pooling.kind == "weighted":
                    function, extra = WEIGHTED[pooling.entry].pool, (weights[pooling.entry][i],)
                else:
                    function = pooling.function
                    extra = (fits[pooling.entry][pooling.run][1],) if pooling.learned else ()
                expected = function(h, *(array.astype(np.float64) for array in extra))
                assert pooled[pooling][at] == pytest.approx(expected, abs=1e-5), pooling


def test_what_was_not_fitted_is_refused(tmp_path, rng):
    batch = write_tokens(tmp_path / "states", draw_states(rng)).batches[0]
    with pytest.raises(InputError, match=r"pooling attention was not fitted \(0 runs of attention\)"):
        pool_layer(batch, "layer_00", 0, [Pooling.parse("attention")], Inputs())


def test_batches_of_both_kinds_are_pooled(tmp_path, rng):
    drawn = draw_states(rng)
    for write in (write_tokens, write_statistics):
        dump = write(tmp_path / write.__name__, drawn)
        pooled = [pool_layer(batch, "layer_01", 1, [MEAN], Inputs())[MEAN] for batch in dump.batches]
        expected = np.stack([mean(h[1].astype(np.float64)) for h in drawn.values()])
        assert np.concatenate(pooled) == pytest.approx(expected, abs=1e-5)


def test_sums_are_not_taken_in_float16(tmp_path):
    """The sum of these states passes float16's range, their mean does not."""
    dump = write_tokens(tmp_path / "states", {0: [np.full((50, 4), 60000, dtype=np.float16)]})
    pooled = pool_layer(dump.batches[0], "layer_00", 0, [MEAN], Inputs())
    assert pooled[MEAN].tolist() == [[60000.0] * 4]
