"""Partial rho against residuals of ranks."""

import numpy as np
import pytest
from scipy import stats

from pipeline.stats.bootstrap import bootstrap, resample_weights
from pipeline.stats.partial import partial_from, partial_spearman
from pipeline.stats.ranks import spearman
from tests.stats.making import scores_and_labels


@pytest.mark.parametrize("graded", [False, True])
def test_partial_rho_is_the_correlation_of_residual_ranks(rng, graded):
    scores, labels, _ = scores_and_labels(rng, graded=graded)
    covariate = np.round(labels + rng.standard_normal(90), 1)
    ranks = [stats.rankdata(row) for row in (covariate, labels, *scores)]
    residual = [row - np.polyval(np.polyfit(ranks[0], row, 1), ranks[0]) for row in ranks[1:]]
    expected = [np.corrcoef(residual[0], row)[0, 1] for row in residual[1:]]
    # polyfit is conditioned by n^2
    assert partial_spearman(scores, labels, covariate) == pytest.approx(expected, abs=1e-10)


def test_partial_rho_is_rho_given_noise_and_undefined_given_the_scores():
    rng = np.random.default_rng(1)
    labels = np.repeat([0.0, 1.0], 1000)
    scores = labels + rng.standard_normal((1, 2000))
    given_noise = partial_spearman(scores, labels, rng.standard_normal(2000))
    assert given_noise == pytest.approx(spearman(scores[0], labels), abs=0.02)
    assert np.isnan(partial_spearman(scores, labels, np.exp(scores[0])))
    one, other = scores[0] + rng.standard_normal((2, 2000))  # nothing in common but the covariate
    assert spearman(one, other) > 0.4
    assert abs(partial_spearman(one[None], other, scores[0])) < 0.15


def test_partial_rho_of_resamples_equals_repeating_the_rows(rng):
    """Three bootstraps of one seed share their resamples."""
    scores, labels, component = scores_and_labels(rng)
    covariate = scores.sum(axis=0)
    given = ((scores, labels), (scores, covariate), (covariate[None], labels))
    resampled = partial_from(*(bootstrap(*two, component, 20, 5)["spearman"] for two in given))
    for b, times in enumerate(resample_weights(component, 20, np.random.default_rng(5)).T):
        rows = np.repeat(np.arange(90), times)
        expected = partial_spearman(scores[:, rows], labels[rows], covariate[rows])
        assert resampled[:, b] == pytest.approx(expected, abs=1e-10)
