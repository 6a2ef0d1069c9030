import numpy as np
import polars as pl
import pytest

from pipeline.formats import attention as files
from pipeline.pool.learned import attention, attention_weights
from pipeline.score.attention import nothing, write
from tests.pool.dumps import draw_states, write_statistics, write_tokens

DIM, LAYERS = 6, 3


def queries(rng):
    runs = rng.standard_normal((2, LAYERS, DIM)).astype(np.float32)
    return {"attention": {run: dict(enumerate(of_run)) for run, of_run in enumerate(runs)}}


def test_weights_are_those_of_the_first_run_and_sum_to_one(tmp_path, rng):
    drawn, fits = draw_states(rng, dim=DIM), queries(rng)
    write(write_tokens(tmp_path / "states", drawn), tmp_path / "a.parquet", "m", fits)
    for layer in range(LAYERS):
        weights_of, query = files.read(tmp_path / "a.parquet", layer, "m"), fits["attention"][0][layer]
        assert list(weights_of) == list(drawn)
        for i, weights in weights_of.items():
            h = drawn[i][layer].astype(np.float32)
            exact = np.exp(h.astype(np.float64) @ query / np.sqrt(DIM))
            assert weights == pytest.approx(exact / exact.sum(), rel=1e-5)
            assert weights.sum() == pytest.approx(1, abs=len(weights) * 2**-23)
            assert weights == pytest.approx(attention_weights(h, query), rel=1e-6)
            assert weights.astype(np.float64) @ h == pytest.approx(attention(h, query), rel=1e-4, abs=1e-5)
    assert files.read(tmp_path / "a.parquet", LAYERS, "m") == {}
    positions = pl.read_parquet(tmp_path / "a.parquet").group_by("sentence_id").agg("position")
    assert all(of_sentence == list(range(len(drawn[i][0]))) for i, of_sentence in positions.iter_rows())


@pytest.mark.parametrize("how", ["no fit", "statistics", "nothing"])
def test_without_a_fit_or_without_tokens_attention_looked_nowhere(tmp_path, rng, how):
    drawn, path = draw_states(rng, dim=DIM), tmp_path / "a.parquet"
    if how == "nothing":
        nothing(path, "m")
    elif how == "statistics":
        write(write_statistics(tmp_path / "states", drawn), path, "m", queries(rng))
    else:
        write(write_tokens(tmp_path / "states", drawn), path, "m", {})
    assert files.read(path, 0, "m") == {}
    assert pl.read_parquet(path).shape == (0, 2)
