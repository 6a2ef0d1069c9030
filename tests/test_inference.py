"""Inference against SciPy, scikit-learn, closed forms and slow definitions; the last test simulates clustered data (pytest -m slow)."""

import zlib
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sklearn import metrics

from pipeline import correlation, inference
from pipeline.correlation import bootstrap, ceiling, spearman
from pipeline.inference import delong, difference


def data(n=90, encoders=3, graded=False):
    """Tied and untied scores; components of pairs of either label, of one label, and of one pair."""
    rng = np.random.default_rng()
    labels = rng.integers(0, 11, n) / 2 if graded else rng.permutation(np.arange(n) % 5 < 3).astype(float)
    scores = rng.standard_normal((encoders, n)) + labels
    scores[0] = np.round(2 * scores[0])
    return scores, labels, rng.integers(0, n // 2, n)


def holes(shape, share=0.1):
    """Normal resamples, some undefined."""
    rng = np.random.default_rng()
    return np.where(rng.random(shape) < share, np.nan, rng.standard_normal(shape))


def test_difference_by_definition_resample_by_resample():
    a, b = np.array([0.3, -1.0, 2.0]), np.array([0.1, 0.5, 2.0])
    ra, rb = holes((3, 500)) + a[:, None], holes((3, 500)) + b[:, None]
    found, low, high, p = difference(a, b, ra, rb, 0.9)
    for k in range(3):
        kept = [x - y for x, y in zip(ra[k], rb[k]) if not (np.isnan(x) or np.isnan(y))]
        far = sum(abs(one - found[k]) >= abs(found[k]) for one in kept)
        assert found[k] == a[k] - b[k]
        assert [low[k], high[k]] == pytest.approx(np.quantile(kept, [0.05, 0.95]).tolist(), abs=1e-12)
        assert p[k] == pytest.approx((1 + far) / (1 + len(kept)), abs=1e-12)
    assert p[2] == 1  # no difference


def test_difference_is_symmetric_and_p_falls_with_it():
    resampled = np.random.default_rng().standard_normal((4, 4000))
    d = np.array([0.0, 1.0, 2.0, 3.0])
    one, other = (difference(s * d, np.zeros(4), s * (resampled + d[:, None]), np.zeros((4, 4000)), 0.95) for s in (1, -1))
    assert one[1] == pytest.approx(-other[2], abs=1e-12)
    assert one[3] == pytest.approx(other[3], abs=1e-12)
    assert one[3] == pytest.approx(2 * stats.norm.sf(d), abs=6 * np.sqrt(0.25 / 4000))  # six standard errors of a share


def test_nothing_defined_has_no_interval_and_no_p():
    nan = np.full((1, 100), np.nan)
    assert np.isnan(inference.against_zero(np.array([0.1]), nan, 0.95)).all()
    assert np.isnan(inference.against_zero(np.array([np.nan]), nan + 1, 0.95)[2]).all()


def test_an_encoder_does_not_differ_from_a_monotone_function_of_itself_and_pairing_narrows():
    scores, labels, component = data()
    paired = bootstrap(np.stack([scores[1], np.exp(scores[1]), scores[1] + 0.1 * scores[2]]), labels, component, 300, 0)["spearman"]
    apart = bootstrap(scores[1:2], labels, component, 300, 1)["spearman"]
    rho = np.array([spearman(one, labels) for one in (scores[1], scores[1] + 0.1 * scores[2])])
    same = difference(rho[:1], rho[:1], paired[:1], paired[1:2], 0.95)
    assert np.concatenate(same) == pytest.approx([0, 0, 0, 1], abs=1e-12)
    assert (paired[0] - paired[2]).std() < (apart[0] - paired[2]).std() / 2


def test_slope_equals_polyfit_of_every_curve():
    layers, rng = np.array([0.0, 1, 2, 5, 6]), np.random.default_rng()
    estimates = rng.random(5)
    resampled = estimates[:, None] + rng.standard_normal((5, 200))
    slope, low, high, p = inference.trend(layers, estimates, resampled, 0.8)
    slopes = np.polyfit(layers, resampled, 1)[0]
    assert slope == pytest.approx(np.polyfit(layers, estimates, 1)[0], abs=1e-12)
    assert [low, high] == pytest.approx(np.quantile(slopes, [0.1, 0.9]).tolist(), abs=1e-12)
    assert p == pytest.approx((1 + (abs(slopes - slope) >= abs(slope)).sum()) / 201, abs=1e-12)


def test_slope_by_hand_without_the_undefined_layer():
    estimates = np.array([0.1, np.nan, 0.3, 0.4])
    curves = np.array([[0.0, np.nan, 0.2, 0.3], [0.2, np.nan, 0.4, 0.5], [0.1, np.nan, np.nan, 0.4]]).T
    assert inference.trend(np.arange(4), estimates, curves, 0.9) == pytest.approx([0.1, 0.1, 0.1, 1 / 3], abs=1e-12)  # levels differ, slopes do not
    with pytest.raises(ValueError, match="1 layers with an estimate"):
        inference.trend(np.arange(2), estimates[:2], curves[:2], 0.9)


@pytest.mark.parametrize("cells", [1 << 19, 90 * 8])
def test_jackknife_equals_dropping_the_rows(cells, monkeypatch):
    scores, labels, component = data()
    monkeypatch.setattr(correlation, "CELLS", cells)
    found = inference.jackknife(scores, labels, component)
    for c, name in enumerate(np.unique(component)):
        rows = component != name
        for k, one in enumerate(scores):
            assert found["spearman"][k, c] == pytest.approx(stats.spearmanr(one[rows], labels[rows]).statistic, abs=1e-12)
            assert found["auc"][k, c] == pytest.approx(metrics.roc_auc_score(labels[rows], one[rows]), abs=1e-12)


def test_bca_equals_scipy_over_components():
    """SciPy resamples component numbers; its statistic gathers their rows. Grades without ties, so that no resample equals the estimate."""
    rng = np.random.default_rng()
    labels, component = rng.standard_normal(60), rng.integers(0, 25, 60)
    scores = labels + rng.standard_exponential(60)
    names = np.unique(component)
    rows = [np.flatnonzero(component == name) for name in names]

    def statistic(drawn):
        where = np.concatenate([rows[int(c)] for c in drawn])
        return stats.spearmanr(scores[where], labels[where]).statistic

    scipy = stats.bootstrap((np.arange(len(names)),), statistic, vectorized=False, n_resamples=500, confidence_level=0.9, method="BCa", rng=rng)
    left_out = inference.jackknife(scores[None], labels, component)["spearman"]
    low, high = inference.bca(np.array([spearman(scores, labels)]), scipy.bootstrap_distribution[None], left_out, 0.9)
    assert [low[0], high[0]] == pytest.approx(list(scipy.confidence_interval), abs=1e-9)  # 1e-12 of rho in a^3 / (a^2)^1.5, n times


def test_bca_is_the_percentile_interval_without_bias_and_skewness_and_follows_them():
    resampled = np.arange(-500.0, 501)[None] / 500
    low, high = inference.bca(np.array([0.0]), resampled, np.array([[-1.0, 1.0]]), 0.9)
    assert [low[0], high[0]] == pytest.approx([-0.9, 0.9], abs=1e-12)
    assert inference.bca(np.array([0.2]), resampled, np.array([[-1.0, 1.0]]), 0.9)[0] > low  # resamples below the estimate: biased downwards
    assert inference.bca(np.array([0.0]), resampled, np.array([[1.0, 1.0, -2.0]]), 0.9)[1] > high  # long tail of influence above


def test_bca_leaves_undefined_resamples_out_and_is_nan_where_it_is_undefined():
    resampled = np.random.default_rng().standard_normal((3, 300))
    left_out = np.random.default_rng().standard_normal((3, 20))
    low, high = inference.bca(np.zeros(3), resampled, left_out, 0.9)
    padded = np.concatenate([resampled, np.full((3, 50), np.nan)], axis=1)
    assert np.array_equal(inference.bca(np.zeros(3), padded, left_out, 0.9), [low, high])
    left_out[1, 0] = np.nan
    assert np.isnan(inference.bca(np.array([0, 0, 9.0]), resampled, left_out, 0.9)[0]).tolist() == [False, True, True]


def slow_delong(scores, labels, component):
    """DeLong's and Obuchowski's sums as they are printed, over matrices of wins (m, n) and clusters one by one."""
    pos, neg = labels == 1, labels == 0
    m, n, encoders = pos.sum(), neg.sum(), range(len(scores))
    wins = [(one[pos][:, None] > one[neg]) + 0.5 * (one[pos][:, None] == one[neg]) for one in scores]
    auc = np.array([one.mean() for one in wins])
    above, below = [one.mean(axis=1) for one in wins], [one.mean(axis=0) for one in wins]
    c10, c01, c = (np.unique(component[kind]) for kind in (pos, neg, slice(None)))
    d10 = {(k, i): (above[k][component[pos] == i] - auc[k]).sum() for k in encoders for i in c}
    d01 = {(k, i): (below[k][component[neg] == i] - auc[k]).sum() for k in encoders for i in c}
    covariance = np.empty((len(scores), len(scores)))
    for r in encoders:
        for s in encoders:
            s10 = len(c10) / ((len(c10) - 1) * m) * sum(d10[r, i] * d10[s, i] for i in c10)
            s01 = len(c01) / ((len(c01) - 1) * n) * sum(d01[r, i] * d01[s, i] for i in c01)
            s11 = len(c) / (len(c) - 1) * sum(d10[r, i] * d01[s, i] + d01[r, i] * d10[s, i] for i in c)
            covariance[r, s] = s10 / m + s01 / n + s11 / (m * n)
    return auc, covariance


def test_delong_equals_the_pairwise_definition_with_and_without_components():
    scores, labels, component = data()
    for clusters in (None, component):
        auc, covariance = delong(scores, labels, clusters)
        expected = slow_delong(scores, labels, np.arange(len(labels)) if clusters is None else clusters)
        np.testing.assert_allclose(auc, expected[0], rtol=0, atol=1e-12)
        np.testing.assert_allclose(covariance, expected[1], rtol=0, atol=1e-12)
    assert auc == pytest.approx([metrics.roc_auc_score(labels, one) for one in scores], abs=1e-12)


def test_delong_without_components_is_the_covariance_of_placements():
    """DeLong et al. 1988, by numpy's covariance of wins."""
    scores, labels, _ = data()
    wins = [(one[labels == 1][:, None] > one[labels == 0]) + 0.5 * (one[labels == 1][:, None] == one[labels == 0]) for one in scores]
    expected = sum(np.cov([one.mean(axis=axis) for one in wins]) / wins[0].shape[1 - axis] for axis in (0, 1))
    np.testing.assert_allclose(delong(scores, labels)[1], expected, rtol=0, atol=1e-12)


def test_copies_in_one_component_carry_no_information():
    scores, labels, _ = data()
    copies = np.tile(scores, 20), np.tile(labels, 20)
    np.testing.assert_allclose(delong(*copies, np.tile(np.arange(90), 20))[1], delong(scores, labels)[1], rtol=0, atol=1e-12)
    taken_for_new, variances = delong(*copies)[1] * 20, np.diag(delong(scores, labels)[1])
    np.testing.assert_allclose(taken_for_new, delong(scores, labels)[1], rtol=0, atol=variances.max() / 35)  # 36 / 35 of 36 negatives becomes 720 / 719


def test_delong_test_of_every_two():
    scores, labels, component = data()
    auc, covariance = delong(np.concatenate([scores, np.exp(scores[:1])]), labels, component)
    apart, error, p = inference.delong_test(auc, covariance)
    d, se = auc[0] - auc[2], np.sqrt(np.array([1, -1]) @ covariance[np.ix_([0, 2], [0, 2])] @ [1, -1])
    assert [apart[0, 2], error[0, 2], p[0, 2]] == pytest.approx([d, se, 2 * stats.norm.sf(abs(d) / se)], abs=1e-12)
    np.testing.assert_allclose(p, p.T, rtol=0, atol=1e-12)
    assert np.isnan([error[0, 3], p[0, 3]]).all()  # the same order of pairs


def test_delong_needs_two_components_of_either_label():
    scores, labels, _ = data()
    for wrong, component in [(np.ones(90), None), (labels / 2, None), (labels, np.where(labels == 1, 0, np.arange(90)))]:
        with pytest.raises(ValueError, match="at least 2 components each"):
            delong(scores, wrong, component)


def test_bands_hold_the_share_of_resampled_curves_and_intervals_one_by_one_do_not():
    resampled = np.random.default_rng().standard_normal((8, 2000)) * np.arange(1, 9)[:, None]
    low, high = inference.simultaneous(np.zeros(8), resampled, 0.9)
    inside = ((resampled >= low[:, None]) & (resampled <= high[:, None])).all(axis=0).mean()
    assert inside == pytest.approx(0.9, abs=1 / 2000)
    single = np.quantile(resampled, [0.05, 0.95], axis=1)
    assert ((resampled >= single[0][:, None]) & (resampled <= single[1][:, None])).all(axis=0).mean() < 0.6  # .9^8 = .43


def test_bands_by_the_closed_form_for_independent_normal_rows_and_for_equal_ones():
    """Independent: all K below c with probability (2 Phi(c) - 1)^K. Equal rows are one row."""
    rng, draws = np.random.default_rng(), 50000
    rows = rng.standard_normal((10, draws))
    for resampled, tests in ((rows, 10), (np.repeat(rows[:1], 10, axis=0) * 3, 1)):
        c = stats.norm.ppf((1 + 0.95 ** (1 / tests)) / 2)
        density = tests * 2 * stats.norm.pdf(c) * 0.95 ** (1 - 1 / tests)
        width = inference.simultaneous(np.zeros(10), resampled, 0.95)[1] / resampled.std(axis=1)
        assert width == pytest.approx(np.full(10, c), abs=6 * np.sqrt(0.05 * 0.95 / draws) / density + 0.03 * c / 2)  # and of the errors, .003 each


def test_rows_without_an_estimate_or_spread_have_no_band_and_cost_the_others_nothing():
    resampled = np.random.default_rng().standard_normal((2, 500))
    resampled[0, :9] = np.nan
    more = np.concatenate([resampled, np.full((1, 500), np.nan), np.full((1, 500), 0.3)])
    found = np.array(inference.simultaneous(np.array([0, 0, np.nan, 0.3]), more, 0.9))
    assert np.isnan(found[:, 2:]).all()
    assert np.array_equal(found[:, :2], inference.simultaneous(np.zeros(2), resampled, 0.9))
    assert np.isfinite(found[:, :2]).all()


def test_holm_by_hand():
    assert inference.holm(np.array([0.01, 0.04, np.nan, 0.03, 0.005])) == pytest.approx([0.03, 0.06, np.nan, 0.06, 0.02], abs=1e-12, nan_ok=True)
    assert inference.holm(np.array([0.6, 0.7])).tolist() == [1, 1]


def test_holm_rejects_what_the_stepwise_procedure_rejects():
    """Slow definition: from the smallest p on, reject while p <= alpha / tests left."""
    rng = np.random.default_rng()
    for _ in range(50):
        p, alpha = rng.random(8) ** 3, rng.random()
        rejected = np.zeros(8, bool)
        for step, i in enumerate(np.argsort(p)):
            if p[i] > alpha / (8 - step):
                break
            rejected[i] = True
        assert np.array_equal(inference.holm(p) <= alpha, rejected)


def test_select_equals_a_loop_over_resamples():
    train, test = np.array([0.3, 0.5, np.nan, 0.45]), np.array([0.2, 0.4, 0.9, 0.1])
    rt, rs = holes((4, 300), 0.3) + 3 * train[:, None], holes((4, 300)) + test[:, None]
    rt[2] = 99.0  # undefined on train: no candidate, whatever its resamples
    best, value, low, high, share = inference.select(train, rt, test, rs, 0.9)
    chosen, values = [], []
    for b in range(300):
        if rows := [k for k in (0, 1, 3) if np.isfinite(rt[k, b])]:
            chosen.append(max(rows, key=lambda k: rt[k, b]))
            values.append(rs[chosen[-1], b])
    assert (best, value) == (1, 0.4)
    assert [low, high] == pytest.approx(np.nanquantile(values, [0.05, 0.95]).tolist(), abs=1e-12)
    assert share == pytest.approx([chosen.count(k) / len(chosen) for k in range(4)], abs=1e-12)
    with pytest.raises(ValueError, match="none of 1 rows"):
        inference.select(train[2:3], rt[2:3], test[2:3], rs[2:3], 0.9)


def test_a_clear_choice_has_its_own_interval_and_an_unclear_one_a_wider():
    noise = 0.01 * np.random.default_rng().standard_normal((4, 1000))
    test, rs = np.array([0.5, 0.2]), np.array([[0.5], [0.2]]) + noise[2:]
    for gap, clear in ((1.0, True), (0.0, False)):
        train = np.array([0.5 + gap, 0.5])
        best, _, low, high, share = inference.select(train, train[:, None] + noise[:2], test, rs, 0.95)
        own = np.quantile(rs[0], [0.025, 0.975])
        assert best == 0
        assert (share[0] == 1) == clear
        assert ([low, high] == pytest.approx(own.tolist(), abs=1e-12)) == clear
        assert clear or high - low > 5 * (own[1] - own[0])


def test_threshold_by_trying_all_and_metrics_by_scikit_learn():
    scores, labels, _ = data(n=80)
    train, rest = slice(40), slice(40, None)
    for one in scores:
        found = inference.threshold_metrics(one[train], labels[train], one[rest], labels[rest])
        values = np.unique(one[train])
        candidates = [-np.inf, *(values[:-1] / 2 + values[1:] / 2), np.inf]
        accuracies = [((one[train] > t) == labels[train]).mean() for t in candidates]
        assert found["threshold"] == pytest.approx(candidates[int(np.argmax(accuracies))], abs=1e-12)
        truth, predicted = labels[rest], one[rest] > found["threshold"]
        assert found["accuracy"] == pytest.approx(metrics.accuracy_score(truth, predicted), abs=1e-12)
        assert found["f1"] == pytest.approx(metrics.f1_score(truth, predicted), abs=1e-12)
        assert found["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(truth, predicted), abs=1e-12)
        assert found["mcc"] == pytest.approx(metrics.matthews_corrcoef(truth, predicted), abs=1e-12)


def test_threshold_by_hand():
    x, y = np.array([1.0, 2, 3, 4]), np.array([0.0, 1, 0, 1])
    assert inference.threshold_metrics(x, y, x, y)["threshold"] == 1.5  # as good as 3.5, and smaller
    always = inference.threshold_metrics(x, np.array([1.0, 1, 1, 0]), x, y)  # scores that mislead: all positive is best
    assert (always["threshold"], always["accuracy"], always["balanced_accuracy"], always["mcc"]) == (-np.inf, 0.5, 0.5, 0)
    assert inference.threshold_metrics(x, 1 - np.array([0.0, 1, 1, 1]), x, y)["threshold"] == np.inf
    close = np.array([1.0, np.nextafter(1, 2), np.nextafter(np.nextafter(1, 2), 2)])  # nothing between neighbours
    for labels in ([0.0, 1, 1], [0.0, 0, 1]):
        assert inference.threshold_metrics(close, np.array(labels), close, np.array(labels))["accuracy"] == 1
    with pytest.raises(ValueError, match="grades"):
        inference.threshold_metrics(x, y, x, x)


@pytest.mark.parametrize("graded", [False, True])
def test_partial_rho_is_the_correlation_of_residual_ranks(graded):
    scores, labels, _ = data(graded=graded)
    given = np.round(labels + np.random.default_rng().standard_normal(90), 1)
    ranks = [stats.rankdata(one) for one in (given, labels, *scores)]
    residual = [one - np.polyval(np.polyfit(ranks[0], one, 1), ranks[0]) for one in ranks[1:]]
    found = inference.partial_spearman(scores, labels, given)
    assert found == pytest.approx([np.corrcoef(residual[0], one)[0, 1] for one in residual[1:]], abs=1e-10)  # polyfit is conditioned by n^2


def test_partial_rho_is_rho_given_noise_and_undefined_given_the_scores():
    rng = np.random.default_rng()
    labels = np.repeat([0.0, 1.0], 1000)
    scores = labels + rng.standard_normal((1, 2000))
    assert inference.partial_spearman(scores, labels, rng.standard_normal(2000)) == pytest.approx(spearman(scores[0], labels), abs=0.02)
    assert np.isnan(inference.partial_spearman(scores, labels, np.exp(scores[0])))
    one, other = scores[0] + rng.standard_normal((2, 2000))  # nothing in common but the given
    assert spearman(one, other) > 0.4
    assert abs(inference.partial_spearman(one[None], other, scores[0])) < 0.15


def test_partial_rho_of_resamples_equals_repeating_the_rows():
    """Three bootstraps of one seed share their resamples."""
    scores, labels, component = data()
    given = scores.sum(axis=0)
    sl, sg, lg = (bootstrap(*two, component, 20, 5)["spearman"] for two in ((scores, labels), (scores, given), (given[None], labels)))
    found = inference.partial_from(sl, sg, lg)
    for b, times in enumerate(correlation.resample_weights(component, 20, np.random.default_rng(5)).T):
        rows = np.repeat(np.arange(90), times.astype(int))
        assert found[:, b] == pytest.approx(inference.partial_spearman(scores[:, rows], labels[rows], given[rows]), abs=1e-10)


def test_detectable_difference_is_found_with_the_power():
    resampled = holes((3, 400)) * np.array([[0.5], [1.0], [2.0]])
    found = inference.minimal_detectable_difference(resampled, power=0.9, alpha=0.01)
    for row, d in zip(resampled, found):
        error = row[np.isfinite(row)].std(ddof=1)
        assert stats.norm.sf(stats.norm.isf(0.005) - d / error) == pytest.approx(0.9, abs=1e-12)
        assert inference.minimal_detectable_difference(row, 0.9, 0.01) == pytest.approx(d, abs=1e-12)


def test_auc_error_is_that_of_mann_whitney_at_one_half_and_of_exponential_scores_elsewhere():
    assert inference.auc_error(0.5, 7, 12) == pytest.approx(np.sqrt((7 + 12 + 1) / (12 * 7 * 12)), abs=1e-12)
    draws = np.random.default_rng().standard_exponential((4000, 50)) * np.append(np.full(20, 3.0), np.ones(30))  # AUC = 3 / (3 + 1)
    aucs = (draws[:, :20, None] > draws[:, None, 20:]).mean(axis=(1, 2))
    assert aucs.std() == pytest.approx(inference.auc_error(0.75, 20, 30), rel=6 / np.sqrt(2 * 4000))


def test_detectable_auc_by_hand():
    assert inference.minimal_detectable_auc(279, 129) == pytest.approx(0.5 + (1.959964 + 0.841621) * np.sqrt(409 / (12 * 279 * 129)), abs=1e-6)


def test_rho_and_auc_of_binary_labels_are_one():
    scores, labels, _ = data()
    counts = labels.sum(), 90 - labels.sum()
    for one in scores:
        rho, auc = spearman(one, labels), correlation.auc(one, labels)
        assert inference.rho_from_auc(auc, *counts) / ceiling(one) == pytest.approx(rho, abs=1e-12)
        assert inference.auc_from_rho(rho * ceiling(one), *counts) == pytest.approx(auc, abs=1e-12)
    assert ceiling(scores[0]) < ceiling(scores[1]) == 1  # with ties and without
    assert inference.rho_from_auc(np.array([0, 0.5, 1]), *counts) == pytest.approx(ceiling(labels) * np.array([-1, 0, 1]), abs=1e-12)


R = 0.4  # correlation of the scores with the grade behind the labels, in the population of the simulation


def clustered(rng, clusters=150, largest=0):
    """Two exchangeable score vectors (2, n), labels (n,), component (n,): 1 to 4 pairs a component, of which grade and scores
    share a part (intraclass correlation .8); label = grade > 0, so that rho = 2 sqrt(3) / pi asin(R / sqrt 2)."""
    sizes = rng.integers(1, 5, clusters)
    sizes[0] = max(sizes[0], largest)
    component = np.repeat(np.arange(clusters), sizes)
    shared = (rng.standard_normal(clusters)[component] for _ in range(4))
    grade, noise, own_a, own_b = (np.sqrt(0.8) * one + np.sqrt(0.2) * rng.standard_normal(len(component)) for one in shared)
    scores = np.stack([R * grade + np.sqrt((1 - R**2) / 2) * (noise + own) for own in (own_a, own_b)])
    return scores, (grade > 0).astype(float), component


@pytest.mark.slow
def test_intervals_cover_and_tests_reject_as_often_as_they_say_on_clustered_data():
    """4000 data sets: the standard error of a share of .95 is .0034. Pairs taken as independent are the opposite case."""
    rng, sets, resamples = np.random.default_rng(20260), 4000, 999
    auc = 0.5 + 2 / np.pi * np.arcsin(R / np.sqrt(2))
    rho = np.sqrt(3) * (auc - 0.5)
    covered = {name: [] for name in ("percentile", "bca", "naive", "difference", "bca difference", "obuchowski", "delong")}
    rejected = {name: [] for name in ("paired", "naive paired", "obuchowski", "delong")}

    def note(name, truth, low, high):
        covered[name].append(low <= truth <= high)

    for i in range(sets):
        scores, labels, component = clustered(rng)
        estimates = np.array([spearman(one, labels) for one in scores])
        d = estimates[:1] - estimates[1:]
        resampled = bootstrap(scores, labels, component, resamples, i)["spearman"]
        left_out = inference.jackknife(scores, labels, component)["spearman"]
        note("percentile", rho, *np.array(correlation.interval(resampled[:1], 0.95))[:, 0])
        note("bca", rho, *inference.bca(estimates[:1], resampled[:1], left_out[:1], 0.95))
        _, low, high, p = difference(estimates[:1], estimates[1:], resampled[:1], resampled[1:], 0.95)
        note("difference", 0, low, high)
        note("bca difference", 0, *inference.bca(d, resampled[:1] - resampled[1:], left_out[:1] - left_out[1:], 0.95))
        rejected["paired"].append(p[0] <= 0.05)
        if i < sets // 4:
            resampled = bootstrap(scores, labels, np.arange(len(labels)), resamples, i)["spearman"]
            note("naive", rho, *np.array(correlation.interval(resampled[:1], 0.95))[:, 0])
            rejected["naive paired"].append(difference(estimates[:1], estimates[1:], resampled[:1], resampled[1:], 0.95)[3][0] <= 0.05)
        for name, units in (("obuchowski", component), ("delong", None)):
            aucs, covariance = delong(scores, labels, units)
            half = stats.norm.ppf(0.975) * np.sqrt(covariance[0, 0])
            note(name, auc, aucs[0] - half, aucs[0] + half)
            rejected[name].append(inference.delong_test(aucs, covariance)[2][0, 1] <= 0.05)
    coverage = {name: float(np.mean(values)) for name, values in covered.items()}
    size = {name: float(np.mean(values)) for name, values in rejected.items()}
    print(coverage, size)
    for name in ("percentile", "bca", "difference", "bca difference", "obuchowski"):
        assert 0.93 <= coverage[name] <= 0.97, (name, coverage)
    for name in ("paired", "obuchowski"):
        assert 0.04 <= size[name] <= 0.06, (name, size)
    assert max(coverage["naive"], coverage["delong"]) < 0.93
    assert min(size["naive paired"], size["delong"]) > 0.06


@pytest.mark.slow
def test_where_one_component_holds_a_fifth_of_the_pairs_bca_and_the_paired_test_fail():
    """100 of 470 pairs in one of 150 components: as if there were (sum of sizes)^2 / sum of squared sizes = 20 of them. What
    the docstrings warn of: percentiles bear it better than BCa, whose acceleration is then that of one component."""
    rng, rho = np.random.default_rng(20261), 2 * np.sqrt(3) / np.pi * np.arcsin(R / np.sqrt(2))
    covered, rejected = [], []
    for i in range(1000):
        scores, labels, component = clustered(rng, largest=100)
        estimates = np.array([spearman(one, labels) for one in scores])
        resampled = bootstrap(scores, labels, component, 999, i)["spearman"]
        percentile = np.array(correlation.interval(resampled[:1], 0.95))[:, 0]
        accelerated = inference.bca(estimates, resampled, inference.jackknife(scores, labels, component)["spearman"], 0.95)
        covered.append([low <= rho <= high for low, high in (percentile, np.array(accelerated)[:, 0])])
        rejected.append(difference(estimates[:1], estimates[1:], resampled[:1], resampled[1:], 0.95)[3][0] <= 0.05)
    percentile, accelerated = np.mean(covered, axis=0)
    print(percentile, accelerated, np.mean(rejected))
    assert accelerated < 0.9 < percentile
    assert np.mean(rejected) > 0.06


def study():
    """Scores of two encoders with layers, one without, on two splits, in the form of the score stage."""
    rng = np.random.default_rng()
    n = 80
    labels, component = rng.integers(0, 2, n) * 1.0, rng.integers(0, 30, n)
    pairs = pl.DataFrame({"pair_id": range(n), "split": ["train"] * 40 + ["test"] * 40, "label": labels, "component": component})
    rows = [("a", "mean", 0, "cosine"), ("a", "mean", 1, "cosine"), ("b", "mean", 0, "cosine"), ("overlap", None, None, "dice")]
    return pairs, pl.concat(
        pairs.select("pair_id", "split", "label").with_columns(
            pl.lit(encoder).alias("encoder"),
            pl.lit(pooling, pl.String).alias("pooling"),
            pl.lit(pooling and "none", pl.String).alias("correction"),
            pl.lit(layer, pl.Int32).alias("layer"),
            pl.lit(similarity).alias("similarity"),
            pl.Series("score", rng.standard_normal(n) + pairs["label"].to_numpy()),
        )
        for encoder, pooling, layer, similarity in rows
    )


SETTINGS = correlation.Correlate(resamples=300, confidence=0.9, seed=1, reference="overlap dice")


def parts(pairs, scores, split):
    """Of one split: labels, component, scores by (encoder, layer), and the seed of its resamples."""
    here = pairs.filter(split=split)
    by_key = {key: one["score"].to_numpy() for key, one in scores.filter(split=split).sort("pair_id").partition_by("encoder", "layer", as_dict=True).items()}
    return here["label"].to_numpy(), here["component"].to_numpy(), by_key, [1, zlib.crc32(split.encode())]


def test_the_table_is_that_of_correlate_with_columns_in_the_rows_they_apply_to():
    pairs, scores = study()
    shuffled = scores.sample(fraction=1, shuffle=True)
    table = inference.infer(shuffled, pairs.sample(fraction=1, shuffle=True), {"test-30": ["test", 30]}, SETTINGS)
    plain = correlation.correlate(scores, pairs, {"test-30": ["test", 30]}, SETTINGS)
    assert table.select(plain.columns).sort(*correlation.KEYS, "split").equals(plain.sort(*correlation.KEYS, "split"))
    assert table.columns == plain.columns + correlation.INFERRED
    assert table.schema["slope"] == table.schema["mcc"] == pl.Float64
    chosen, deep = correlation.selected(plain)[0], pl.col("layer").is_not_null()
    key = ["encoder", "layer", "split"]
    for name, expected in {
        "spearman_band_low": plain.filter(deep),
        "slope": chosen.filter(pl.col("encoder") == "a"),  # b has one layer
        "partial": chosen.filter(pl.col("encoder") != "overlap"),
        "detectable": chosen.filter(pl.col("encoder") != "overlap"),
        "mcc": chosen,
    }.items():
        found = table.filter(pl.col(name).is_not_null()).select(key)
        assert sorted(found.rows(), key=str) == sorted(expected.select(key).rows(), key=str), name


def test_bands_and_slopes_are_those_of_each_curve():
    pairs, scores = study()
    copy = scores.filter(encoder="a").with_columns(encoder=pl.lit("c"), score=pl.col("score") + pl.col("layer") * pl.col("label"))
    table = inference.infer(pl.concat([scores, copy]), pairs, {}, SETTINGS)
    for split in ("train", "test"):
        labels, component, by_key, seed = parts(pairs, pl.concat([scores, copy]), split)
        p = []
        for encoder in "ac":
            curve = np.stack([by_key[encoder, layer] for layer in (0, 1)])
            rho, drawn = np.array([spearman(one, labels) for one in curve]), bootstrap(curve, labels, component, 300, seed)["spearman"]
            rows = table.filter(encoder=encoder, split=split).sort("layer")
            band = np.array(inference.simultaneous(rho, drawn, 0.9))
            np.testing.assert_allclose(rows.select("spearman_band_low", "spearman_band_high").to_numpy().T, band, rtol=0, atol=1e-12)
            *expected, one = inference.trend(np.arange(2.0), rho, drawn, 0.9)
            assert rows.select("slope", "slope_low", "slope_high").drop_nulls().row(0) == pytest.approx(expected, abs=1e-12)
            p.append(one)
        assert table.filter(split=split)["slope_p"].drop_nulls().to_list() == pytest.approx(inference.holm(np.array(p)).tolist(), abs=1e-12)


def test_what_is_said_against_the_reference_by_hand():
    pairs, scores = study()
    table = inference.infer(scores, pairs, {}, SETTINGS)
    for split in ("train", "test"):
        labels, component, by_key, seed = parts(pairs, scores, split)
        rows = table.filter(pl.col("difference").is_not_null(), split=split)
        assert rows["encoder"].to_list() == ["a", "b"]
        chosen = np.stack([by_key[key] for key in rows.select("encoder", "layer").rows()])
        given = by_key["overlap", None]
        every = np.stack([*chosen, given])
        rho, drawn = np.array([spearman(one, labels) for one in every]), bootstrap(every, labels, component, 300, seed)["spearman"]
        apart, low, high, p = difference(rho[:2], rho[2:], drawn[:2], drawn[2:], 0.9)
        # the ranks' residuals, of the pairs repeated as often as they were drawn
        repeated = [np.repeat(np.arange(40), t.astype(int)) for t in correlation.resample_weights(component, 300, np.random.default_rng(seed)).T]
        partial = np.array([inference.partial_spearman(chosen[:, at], labels[at], given[at]) for at in repeated])
        auc, covariance = delong(every, labels, component)
        z = (auc[:2] - auc[2]) / np.sqrt(np.diag(covariance)[:2] + covariance[2, 2] - 2 * covariance[:2, 2])
        expected = {
            "difference": apart,
            "difference_low": low,
            "difference_high": high,
            "difference_p": inference.holm(p),
            "detectable": 2.8015852 * np.nanstd(drawn[:2] - drawn[2:], axis=1, ddof=1),  # 1.9599640 + 0.8416212
            "partial": inference.partial_spearman(chosen, labels, given),
            "partial_low": np.nanquantile(partial, 0.05, axis=0),
            "partial_high": np.nanquantile(partial, 0.95, axis=0),
            "auc_difference": [metrics.roc_auc_score(labels, one) - metrics.roc_auc_score(labels, given) for one in chosen],
            "auc_difference_p": inference.holm(2 * stats.norm.sf(np.abs(z))),
        }
        for name, values in expected.items():
            assert rows[name].to_list() == pytest.approx(list(values), abs=1e-8), name  # rounded constants; 1e-10 of a partial rho


def test_thresholds_are_chosen_on_train_and_measured_by_scikit_learn():
    pairs, scores = study()
    table = inference.infer(scores, pairs, {}, SETTINGS)
    train, *_ = parts(pairs, scores, "train")
    for row in table.filter(pl.col("accuracy").is_not_null()).iter_rows(named=True):
        (_, _, on_train, _), (labels, _, here, _) = (parts(pairs, scores, split) for split in ("train", row["split"]))
        key = row["encoder"], row["layer"]
        predicted = here[key] > inference.threshold_metrics(on_train[key], train, here[key], labels)["threshold"]
        assert row["accuracy"] == pytest.approx(metrics.accuracy_score(labels, predicted), abs=1e-12)
        assert row["f1"] == pytest.approx(metrics.f1_score(labels, predicted), abs=1e-12)
        assert row["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(labels, predicted), abs=1e-12)
        assert row["mcc"] == pytest.approx(metrics.matthews_corrcoef(labels, predicted), abs=1e-12)


def test_graded_labels_have_neither_thresholds_nor_auc():
    pairs, scores = study()
    grades = pairs["label"] + np.random.default_rng().random(80).round(1)
    scores = scores.drop("label").join(pairs.select("pair_id", grades.alias("label")), on="pair_id")
    table = inference.infer(scores, pairs.with_columns(grades.alias("label")), {}, SETTINGS)
    assert all(table[name].is_null().all() for name in ("auc_difference", "auc_difference_p", "accuracy", "f1", "balanced_accuracy", "mcc"))
    assert table["partial"].is_not_null().sum() == table["detectable"].is_not_null().sum() == 4


def test_one_component_of_a_label_is_too_few_for_delong_and_the_rest_is_there():
    pairs, scores = study()
    pairs = pairs.with_columns(pl.when(pl.col("label") == 1).then(99).otherwise(pl.col("component")).alias("component"))
    table = inference.infer(scores, pairs, {}, SETTINGS)
    assert table["auc_difference"].is_null().all()
    assert table["difference"].is_not_null().sum() == 4


def test_an_encoder_does_not_differ_from_its_copy():
    pairs, scores = study()
    copy = scores.filter(pl.col("encoder") == "overlap").with_columns(encoder=pl.lit("copy"))
    row = inference.infer(pl.concat([scores, copy]), pairs, {}, SETTINGS).filter(encoder="copy", split="test").row(0, named=True)
    assert (row["difference"], row["difference_low"], row["difference_high"], row["difference_p"], row["detectable"]) == (0, 0, 0, 1, 0)
    assert row["partial"] is row["auc_difference_p"] is None  # the reference determines it


def test_without_a_reference_nothing_is_compared_and_a_wrong_one_is_named():
    pairs, scores = study()
    table = inference.infer(scores, pairs, {}, replace(SETTINGS, reference=None))
    assert all(table[name].is_null().all() for name in ("difference", "partial", "detectable", "auc_difference"))
    assert table["slope"].is_not_null().sum() == 2
    with pytest.raises(ValueError, match=r"correlate\.reference is 'dice', expected one of a, b, overlap dice, or null"):
        inference.infer(scores, pairs, {}, replace(SETTINGS, reference="dice"))


def test_only_encoders_without_layers():
    pairs, scores = study()
    table = inference.infer(scores.filter(pl.col("layer").is_null()), pairs, {}, SETTINGS)
    assert table["spearman_band_low"].is_null().all()
    assert table["difference"].is_null().all()
    assert table["accuracy"].is_not_null().all()
