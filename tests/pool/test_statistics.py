import numpy as np
import pytest

from pipeline.base.errors import InputError
from pipeline.pool.names import KINDS, Pooling
from pipeline.pool.statistics import FROM_STATISTICS, pool_statistics
from pipeline.pool.tokens import POOLINGS
from tests.pool.dumps import draw_states, write_statistics


@pytest.mark.parametrize("name", FROM_STATISTICS)
@pytest.mark.parametrize("store", ["float16", "float32"])
def test_statistics_give_what_tokens_give(tmp_path, rng, name, store):
    drawn = draw_states(rng)
    dump = write_statistics(tmp_path / "states", drawn, store)
    for batch in dump.batches:
        pooled = pool_statistics(batch, "layer_01", Pooling.parse(name))
        assert pooled.dtype == np.float32
        for row, i in zip(pooled, batch["sentence_id"].to_pylist()):
            exact = POOLINGS[name](drawn[i][1].astype(np.float64))
            assert row == pytest.approx(exact, abs=1e-5)  # sums of a few float32


@pytest.mark.parametrize("name", ["norm_mean", "skip_outliers", "last_4", "sif", "attention"])
def test_poolings_that_need_tokens_are_refused_with_the_remedy(tmp_path, rng, name):
    batch = write_statistics(tmp_path / "states", draw_states(rng)).batches[0]
    message = rf"pooling {name} needs the state of every token, .* which give mean, last, .*: set dump.keep to tokens"
    with pytest.raises(InputError, match=message):
        pool_statistics(batch, "layer_00", Pooling.parse(name))


def test_they_are_poolings_of_tokens():
    assert {KINDS[name] for name in FROM_STATISTICS} == {"tokens"}
