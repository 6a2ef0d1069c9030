"""How few components are too few."""

import numpy as np
import pytest

from pipeline.stats.bootstrap import bootstrap
from pipeline.stats.components import FEWEST, effective_components
from pipeline.stats.ranks import spearman
from pipeline.stats.significance import against_zero


@pytest.mark.parametrize(
    ("sizes", "effective"), [([1], 1), ([7, 7, 7], 3), ([1] * 40, 40), ([3, 1], 16 / 10), ([10, 1, 1], 144 / 102)]
)
def test_effective_components_by_hand(sizes, effective):
    assert effective_components(np.repeat(np.arange(len(sizes)) * 9, sizes)) == pytest.approx(effective, rel=1e-12)


@pytest.mark.parametrize("components", [1, 2, FEWEST - 1])
def test_with_too_few_components_there_is_no_interval_and_no_p(components, rng):
    labels, scores = rng.integers(0, 2, 20).astype(float), rng.normal(size=(3, 20))
    resampled = bootstrap(scores, labels, np.arange(20) % components, 200, seed=0)
    assert all(np.isnan(values).all() and values.shape == (3, 200) for values in resampled.values())
    found = against_zero(np.array([0.5, 0.4, 0.3]), resampled["spearman"], 0.95)
    assert np.isnan([found.low, found.high, found.p]).all()
    enough = bootstrap(scores, labels, np.arange(20) % FEWEST, 200, seed=0)
    assert np.isfinite(enough["spearman"]).mean() > 0.5


def test_one_large_component_among_many_small_ones_counts_as_few(rng):
    component = np.concatenate([np.zeros(100, dtype=int), np.arange(1, 31)])
    labels, scores = rng.integers(0, 2, 130).astype(float), rng.normal(size=(1, 130))
    assert np.isnan(bootstrap(scores, labels, component, 50, seed=0)["spearman"]).all()


def test_resamples_without_spread_say_nothing_and_those_of_no_difference_say_that():
    found = against_zero(np.array([1.0, 0.0]), np.array([[1.0] * 50, [0.0] * 50]), 0.95)
    assert np.isnan([found.low[0], found.high[0], found.p[0]]).all()
    assert [found.low[1], found.high[1], found.p[1]] == [0, 0, 1]


@pytest.mark.slow
@pytest.mark.parametrize(("components", "share"), [(3, 0.20), (5, 0.13), (10, 0.11), (20, 0.09), (40, 0.075)])
def test_how_often_a_true_null_is_rejected(components, share, rng, monkeypatch):
    """Scores and labels that components share to one half, and nothing else: tests at .05 should reject in .05.

    The shares are of 3,000 runs with other seeds. Six standard errors: by chance this fails once in a hundred million.
    """
    monkeypatch.setattr("pipeline.stats.bootstrap.FEWEST", 0)
    rejected = []
    for run in range(2000):
        component = rng.integers(0, components, 120)
        latent = rng.normal(size=(2, components))[:, component] + rng.normal(size=(2, 120))
        scores, labels = latent[0], (latent[1] > 0).astype(float)
        if len(set(labels)) == 2:
            resampled = bootstrap(scores[None], labels, component, 399, run, ["spearman"])["spearman"]
            rejected.append(against_zero(np.array([spearman(scores, labels)]), resampled, 0.95).p[0] <= 0.05)
    print(f"{components} components: {np.mean(rejected):.3f} of true nulls are rejected at .05")
    assert abs(np.mean(rejected) - share) < 6 * np.sqrt(share * (1 - share) / len(rejected))
