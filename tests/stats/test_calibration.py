"""How often intervals cover and tests reject on clustered data of which the truth is known (pytest -m slow)."""

import numpy as np
import pytest
from scipy import stats

from pipeline.stats.best import below_best
from pipeline.stats.bootstrap import bootstrap, interval
from pipeline.stats.delong import delong, delong_test
from pipeline.stats.ranks import spearman_rows
from pipeline.stats.significance import difference, holm
from tests.stats.making import R, clustered

AUC = 0.5 + 2 / np.pi * np.arcsin(R / np.sqrt(2))
RHO = np.sqrt(3) * (AUC - 0.5)


def compared(scores, labels, component, resamples, seed):
    """The interval of the first encoder's rho, and the difference of the two."""
    rho = spearman_rows(scores, labels)
    resampled = bootstrap(scores, labels, component, resamples, seed, ["spearman"])["spearman"]
    low, high = interval(resampled[:1], 0.95)
    return (low[0], high[0]), difference(rho[:1], rho[1:], resampled[:1], resampled[1:], 0.95)


@pytest.mark.slow
def test_intervals_cover_and_tests_reject_as_often_as_they_say_on_clustered_data():
    """4000 data sets: the standard error of a share of .95 is .0034. The opposite case: pairs taken as independent."""
    rng, sets, resamples = np.random.default_rng(20260), 4000, 999
    covered = {name: [] for name in ("percentile", "naive", "difference", "obuchowski", "delong")}
    rejected = {name: [] for name in ("paired", "naive paired", "obuchowski", "delong")}
    for i in range(sets):
        scores, labels, component = clustered(rng)
        (low, high), apart = compared(scores, labels, component, resamples, i)
        covered["percentile"].append(low <= RHO <= high)
        covered["difference"].append(apart.low[0] <= 0 <= apart.high[0])
        rejected["paired"].append(apart.p[0] <= 0.05)
        if i < sets // 4:
            (low, high), apart = compared(scores, labels, np.arange(len(labels)), resamples, i)
            covered["naive"].append(low <= RHO <= high)
            rejected["naive paired"].append(apart.p[0] <= 0.05)
        for name, units in (("obuchowski", component), ("delong", None)):
            aucs, covariance = delong(scores, labels, units)
            half = stats.norm.ppf(0.975) * np.sqrt(covariance[0, 0])
            covered[name].append(aucs[0] - half <= AUC <= aucs[0] + half)
            rejected[name].append(delong_test(aucs, covariance).p[0, 1] <= 0.05)
    coverage = {name: float(np.mean(values)) for name, values in covered.items()}
    size = {name: float(np.mean(values)) for name, values in rejected.items()}
    print(coverage, size)
    for name in ("percentile", "difference", "obuchowski"):
        assert 0.93 <= coverage[name] <= 0.97, (name, coverage)
    for name in ("paired", "obuchowski"):
        assert 0.04 <= size[name] <= 0.06, (name, size)
    assert max(coverage["naive"], coverage["delong"]) < 0.93
    assert min(size["naive paired"], size["delong"]) > 0.06


@pytest.mark.slow
def test_where_one_component_holds_a_fifth_of_the_pairs_the_paired_test_rejects_too_often():
    """100 of 470 pairs in one of 150 components: as if there were (sum of sizes)^2 / sum of squared sizes = 20 of them.
    What the room's docstring warns of.
    """
    rng = np.random.default_rng(20261)
    covered, rejected = [], []
    for i in range(1000):
        (low, high), apart = compared(*clustered(rng, largest=100), 999, i)
        covered.append(low <= RHO <= high)
        rejected.append(apart.p[0] <= 0.05)
    print(np.mean(covered), np.mean(rejected))
    assert np.mean(covered) > 0.9
    assert np.mean(rejected) > 0.06


@pytest.mark.slow
def test_the_comparison_with_the_best_of_equals_rejects_as_often_as_it_says_and_with_a_named_one_more_often():
    """2000 data sets of six encoders that are equally good: the standard error of a share of .05 is .0049."""
    rng, sets = np.random.default_rng(20262), 2000
    rejected: dict[str, list[bool]] = {"best": [], "named": []}
    for i in range(sets):
        scores, labels, component = clustered(rng, encoders=6)
        rho = spearman_rows(scores, labels)
        resampled = bootstrap(scores, labels, component, 499, i, ["spearman"])["spearman"]
        best = np.argmax(rho)
        others = np.arange(6) != best
        named = difference(rho[others], rho[[best]], resampled[others], resampled[[best]], 0.95)
        rejected["best"].append(np.nanmin(below_best(rho, resampled, 0.95).p) <= 0.05)
        rejected["named"].append(holm(named.p).min() <= 0.05)
    size = {name: float(np.mean(values)) for name, values in rejected.items()}
    print(size)
    assert size["best"] == pytest.approx(0.05, abs=6 * np.sqrt(0.05 * 0.95 / sets))
    assert size["named"] > size["best"] + 6 * np.sqrt(0.05 * 0.95 / sets)
