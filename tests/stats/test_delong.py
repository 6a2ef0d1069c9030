"""DeLong's and Obuchowski's covariance against their printed sums."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from pipeline.stats.delong import delong, delong_test
from tests.stats.making import scores_and_labels


def wins_of(scores, labels):
    """Of each row of scores, which positives (rows) beat which negatives (columns), ties half."""
    return [
        (row[labels == 1][:, None] > row[labels == 0]) + 0.5 * (row[labels == 1][:, None] == row[labels == 0])
        for row in scores
    ]


def slow_delong(scores, labels, component):
    """DeLong's and Obuchowski's sums as they are printed, over matrices of wins (m, n) and clusters one by one."""
    pos, neg = labels == 1, labels == 0
    m, n, encoders = pos.sum(), neg.sum(), range(len(scores))
    wins = wins_of(scores, labels)
    auc = np.array([matrix.mean() for matrix in wins])
    above, below = [matrix.mean(axis=1) for matrix in wins], [matrix.mean(axis=0) for matrix in wins]
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


@pytest.mark.parametrize("clustered", [False, True])
def test_delong_equals_the_pairwise_definition_with_and_without_components(rng, clustered):
    scores, labels, component = scores_and_labels(rng)
    auc, covariance = delong(scores, labels, component if clustered else None)
    expected = slow_delong(scores, labels, component if clustered else np.arange(len(labels)))
    np.testing.assert_allclose(auc, expected[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(covariance, expected[1], rtol=0, atol=1e-12)
    assert auc == pytest.approx([metrics.roc_auc_score(labels, row) for row in scores], abs=1e-12)


def test_delong_without_components_is_the_covariance_of_placements(rng):
    """DeLong et al. 1988, by numpy's covariance of wins."""
    scores, labels, _ = scores_and_labels(rng)
    wins = wins_of(scores, labels)
    expected = sum(np.cov([one.mean(axis=axis) for one in wins]) / wins[0].shape[1 - axis] for axis in (0, 1))
    np.testing.assert_allclose(delong(scores, labels)[1], expected, rtol=0, atol=1e-12)


def test_copies_in_one_component_carry_no_information(rng):
    scores, labels, _ = scores_and_labels(rng)
    copies, covariance = (np.tile(scores, 20), np.tile(labels, 20)), delong(scores, labels)[1]
    np.testing.assert_allclose(delong(*copies, np.tile(np.arange(90), 20))[1], covariance, rtol=0, atol=1e-12)
    # taken for new pairs: 36 / 35 of 36 negatives becomes 720 / 719
    tolerance = np.diag(covariance).max() / 35
    np.testing.assert_allclose(delong(*copies)[1] * 20, covariance, rtol=0, atol=tolerance)


def test_delong_test_of_every_two(rng):
    scores, labels, component = scores_and_labels(rng)
    auc, covariance = delong(np.concatenate([scores, np.exp(scores[:1])]), labels, component)
    found = delong_test(auc, covariance)
    d, error = auc[0] - auc[2], np.sqrt(np.array([1, -1]) @ covariance[np.ix_([0, 2], [0, 2])] @ [1, -1])
    expected = [d, error, 2 * stats.norm.sf(abs(d) / error)]
    assert [found.difference[0, 2], found.error[0, 2], found.p[0, 2]] == pytest.approx(expected, abs=1e-12)
    np.testing.assert_allclose(found.p, found.p.T, rtol=0, atol=1e-12)
    assert np.isnan([found.error[0, 3], found.p[0, 3]]).all()  # the same order of pairs


def test_delong_needs_two_components_of_either_label(rng):
    scores, labels, _ = scores_and_labels(rng)
    together = np.where(labels == 1, 0, np.arange(90))
    for wrong, component in [(np.ones(90), None), (labels / 2, None), (labels, together)]:
        with pytest.raises(ValueError, match="at least 2 components each"):
            delong(scores, wrong, component)
