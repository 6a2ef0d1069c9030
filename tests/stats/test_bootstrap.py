"""The bootstrap against a slow one that repeats rows, and against known standard errors."""

import tracemalloc
import zlib

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from pipeline.stats import bootstrap as bootstrap_module
from pipeline.stats import running_sums, weighted
from pipeline.stats.bootstrap import bootstrap, interval, resample_weights, standard_error, stream_seed
from tests.stats.making import holes, scores_and_labels


@pytest.mark.parametrize("graded", [False, True])
def test_bootstrap_equals_repeating_the_rows_of_the_drawn_components(rng, graded, monkeypatch):
    """The same draws, expanded row by row and given to SciPy and scikit-learn; in several blocks."""
    scores, labels, component = scores_and_labels(rng, n=40, graded=graded)
    monkeypatch.setattr(weighted, "CELLS", 40 * 8)
    resampled = bootstrap(scores, labels, component, 50, seed=7)
    names = np.unique(component)
    draws = np.random.default_rng(7).integers(0, len(names), size=(50, len(names)))
    for b, drawn in enumerate(draws):
        rows = np.concatenate([np.flatnonzero(component == names[i]) for i in drawn])
        for k, scored in enumerate(scores):
            x, y = scored[rows], labels[rows]
            expected = np.nan if graded else roc_auc_score(y, x)
            assert resampled["spearman"][k, b] == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
            assert resampled["pearson"][k, b] == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-11)
            assert resampled["auc"][k, b] == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_the_resamples_of_a_seed_depend_neither_on_the_memory_nor_on_their_number(rng, monkeypatch):
    given = scores_and_labels(rng)
    whole = bootstrap(*given, 50, 3)
    for cells, count in ((1, 50), (90 * 12, 50), (90 * 36, 50), (1 << 18, 17)):
        monkeypatch.setattr(weighted, "CELLS", cells)
        monkeypatch.setattr(running_sums, "CELLS", cells)
        for name, values in bootstrap(*given, count, 3).items():
            # ranks are whole numbers; of moments only the order of summation differs
            tolerance = 1e-12 if name == "pearson" else 0
            np.testing.assert_allclose(values, whole[name][:, :count], rtol=0, atol=tolerance)


def test_resamples_do_not_depend_on_the_company(rng):
    """An encoder's resamples are the same alone and beside others: runs with other models can be compared."""
    scores, labels, component = scores_and_labels(rng)
    alone, beside = (bootstrap(rows, labels, component, 50, 3)["spearman"][0] for rows in (scores[:1], scores))
    assert np.array_equal(alone, beside)


def test_each_split_has_a_stream_of_its_own():
    assert stream_seed(4, "test") == [4, zlib.crc32(b"test")]
    assert stream_seed(4, "test") != stream_seed(4, "train")


def test_resamples_with_one_label_are_left_out_and_counted():
    labels = np.array([1.0, 0.0, 1.0, 1.0, 1.0])
    resampled = bootstrap(np.array([[0.1, 0.2, 0.3, 0.5, 0.4]]), labels, np.arange(5), 2000, seed=0)
    undefined = np.isnan(resampled["spearman"][0])
    assert np.array_equal(undefined, np.isnan(resampled["auc"][0]))
    assert undefined.mean() == pytest.approx((1 + 4**5) / 5**5, abs=0.05)  # all draws negative, or all positive


def test_whole_components_are_drawn():
    """Pairs of one component always occur equally often, and each component as often as it was drawn."""
    component = np.array([0, 0, 0, 5, 7, 7])
    weights = resample_weights(component, 1000, np.random.default_rng(0))
    assert (weights[0] == weights[1]).all()
    assert (weights[1] == weights[2]).all()
    assert (weights[[0, 3, 4]].sum(axis=0) == 3).all()
    assert weights.mean(axis=1) == pytest.approx(np.ones(6), abs=0.1)


class Drawing:
    """A generator that draws one component again and again in some resamples."""

    def __init__(self, rng, stuck):
        self.rng, self.stuck = rng, iter(stuck)

    def integers(self, low, high, size):
        drawn = self.rng.integers(low, high, size)
        drawn[[next(self.stuck) for _ in drawn]] = high - 1
        return drawn


@pytest.mark.parametrize(("components", "bytes_each"), [(255, 1), (256, 2), (1000, 2), (70_000, 4)])
def test_a_component_that_is_drawn_each_time_fits_the_type_of_the_weights(rng, monkeypatch, components, bytes_each):
    monkeypatch.setattr(bootstrap_module, "DRAWN_AT_ONCE", 1000)
    component = np.append(np.arange(components), [0, components - 1])
    weights = resample_weights(component, 3, Drawing(rng, [False, True, False]))
    assert weights.dtype == np.dtype(f"u{bytes_each}")
    assert weights[:, 1].tolist() == [0] * (components - 1) + [components, 0, components]
    assert (weights[:components, ::2].sum(axis=0) == components).all()
    assert resample_weights(component, 3, rng).dtype == np.uint8  # as it is in practice


def test_weights_are_held_three_times_while_they_are_drawn(rng):
    component = rng.permutation(1 << 17)
    tracemalloc.start()
    weights = resample_weights(component, 64, rng)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * weights.nbytes + 5 * component.nbytes  # a resample is of as many numbers of 8 bytes


def test_clusters_widen_the_interval():
    """Twenty copies of each of thirty pairs carry the information of thirty."""
    rng = np.random.default_rng(0)
    labels = np.tile((rng.random(30) < 0.5).astype(float), 20)
    scores = np.tile(rng.standard_normal(30), 20)[None]
    clustered = bootstrap(scores, labels, np.tile(np.arange(30), 20), 400, 0)["spearman"]
    naive = bootstrap(scores, labels, np.arange(600), 400, 0)["spearman"]
    assert clustered.std() / naive.std() == pytest.approx(np.sqrt(20), rel=0.2)


def test_interval_width_matches_the_known_standard_error():
    """For independent normal scores the standard error of rho at n = 408 is near 1 / sqrt(n - 1) = .050."""
    rng = np.random.default_rng(3)
    labels = (rng.random(408) < 0.684).astype(float)
    resampled = bootstrap(rng.standard_normal((1, 408)), labels, np.arange(408), 2000, 0)["spearman"]
    assert standard_error(resampled)[0] == pytest.approx(1 / np.sqrt(407), rel=0.1)


def test_intervals_and_errors_are_those_of_the_defined_resamples(rng):
    resampled = holes(rng, (3, 400))
    resampled[1] = np.nan
    resampled[2, 1:], resampled[2, 0] = np.nan, 1.5
    lows, highs = interval(resampled, 0.8)
    assert [lows[0], highs[0]] == pytest.approx(np.nanquantile(resampled[0], [0.1, 0.9]).tolist(), abs=1e-12)
    assert np.isnan([lows[1:], highs[1:]]).all()  # none is defined, and one, which has no spread
    errors = standard_error(resampled)
    assert errors[0] == pytest.approx(np.nanstd(resampled[0], ddof=1), abs=1e-12)
    assert np.isnan(errors[1:]).all()


@pytest.mark.parametrize("numbers", [1, 50, 400])  # a row has 40
def test_rows_that_are_resampled_in_parts_have_the_same_resamples(rng, monkeypatch, numbers):
    scores, labels = rng.standard_normal((7, 40)).round(1), rng.integers(0, 2, 40).astype(float)
    component = rng.integers(0, 25, 40)
    at_once = bootstrap(scores, labels, component, 90, 3)
    monkeypatch.setattr(bootstrap_module, "NUMBERS_AT_ONCE", numbers)
    monkeypatch.setattr(bootstrap_module, "DRAWN_AT_ONCE", numbers)
    in_parts = bootstrap(scores, labels, component, 90, 3)
    for name in ("spearman", "auc"):
        assert np.array_equal(in_parts[name], at_once[name], equal_nan=True)
    assert in_parts["pearson"] == pytest.approx(at_once["pearson"], abs=1e-12, nan_ok=True)
    assert bootstrap(scores[:0], labels, component, 90, 3)["spearman"].shape == (0, 90)
