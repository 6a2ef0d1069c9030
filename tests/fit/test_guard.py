import warnings
from itertools import combinations

import numpy as np
import pytest
import torch
from scipy import stats

from pipeline.fit import guard
from pipeline.fit.guard import beyond_noise, held_out, rho_of
from pipeline.fit.learnable import LEARNABLE
from pipeline.fit.pair_states import PairStates
from pipeline.fit.sentences import Sentences
from pipeline.pool.learned import LEARNED
from pipeline.score.similarities import cosine
from pipeline.stats.bootstrap import bootstrap
from tests.fit.planted import CPU
from tests.pool.dumps import draw_states, write_tokens


@pytest.mark.parametrize("name", LEARNED)
def test_each_pair_is_scored_by_the_run_that_holds_it_out(tmp_path, rng, monkeypatch, name):
    """Against the pooling of the room pool, one sentence at a time, in float64."""
    monkeypatch.setattr(guard, "PAIRS_AT_ONCE", 6)
    drawn = draw_states(rng)
    first, second = rng.permutation(list(combinations(range(17), 2)))[:30].T  # no two alike, so that nothing is tied
    states = PairStates(Sentences(write_tokens(tmp_path / "states", drawn)), first, second, CPU)
    parameters, fold = torch.from_numpy(rng.standard_normal((3, 3, 8))).float(), rng.integers(0, 3, 30)
    ranks = held_out(states, LEARNABLE[name], parameters, fold)
    assert ranks.shape == (30, 3)
    applied = LEARNABLE[name].applied(states, parameters).double().numpy()
    for layer in range(3):
        for run in range(3):
            pooled = [LEARNED[name](drawn[i][layer].astype(np.float64), applied[run, layer]) for i in range(17)]
            inside = fold == run
            scores = cosine(np.stack(pooled)[first[inside]], np.stack(pooled)[second[inside]])
            assert ranks[inside, layer] == pytest.approx((stats.rankdata(scores) - 0.5) / inside.sum(), abs=1e-12)


def test_rho_of_columns_by_scipy_and_nan_where_it_is_undefined(rng):
    scores, labels = rng.standard_normal((40, 3)).round(1), rng.integers(0, 2, 40).astype(float)
    scores[:, 1] = 7
    rho = rho_of(scores, labels)
    assert np.isnan(rho[1])
    for column in (0, 2):
        assert rho[column] == pytest.approx(stats.spearmanr(scores[:, column], labels).statistic, abs=1e-12)


def test_where_rho_is_undefined_nothing_is_learned_and_nothing_is_warned_of(rng):
    labels, component = rng.integers(0, 2, 60) * 1.0, np.arange(60)
    start = np.stack([np.ones(60), rng.standard_normal(60)], axis=1)
    learned = start + np.stack([np.zeros(60), 99 * labels], axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert beyond_noise(start, learned, labels, component, 1, 0).tolist() == [False, True]


def test_it_is_a_one_sided_test_over_components_at_its_level():
    """Components of two copies: an improvement beyond one look at noise is kept; as the best of 1000 it is not."""
    rng = np.random.default_rng(5)
    labels = np.repeat(rng.integers(0, 2, 300), 2) * 1.0
    noise = np.repeat(rng.standard_normal((300, 2)), 2, axis=0)
    start, component = (labels + 3 * noise[:, 0])[:, None], np.repeat(np.arange(300), 2)
    better = start + 0.3 * labels[:, None] + noise[:, 1:]
    resampled = [bootstrap(side.T, labels, component, 4000, 0)["spearman"][0] for side in (start, better)]
    z = (rho_of(better, labels) - rho_of(start, labels))[0] / np.std(resampled[1] - resampled[0])
    limits = {epochs: stats.norm.isf(0.05 / epochs) for epochs in (1, 1000)}
    assert limits[1] * 1.1 < z < limits[1000] * 0.9
    for epochs, kept in ((1, True), (1000, False)):
        assert beyond_noise(start, better, labels, component, epochs, 0).tolist() == [kept]
        assert beyond_noise(better, start, labels, component, epochs, 0).tolist() == [False]
