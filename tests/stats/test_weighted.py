"""Weighted statistics against repeating the rows and giving them to SciPy and scikit-learn."""

import itertools
import tracemalloc

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from pipeline.stats import running_sums, weighted
from pipeline.stats.weighted import weighted_statistics
from tests.stats.making import scores_and_labels


def of(scores, labels, weights, **wanted):
    return weighted_statistics(scores, labels, lambda start, stop: weights[:, start:stop], weights.shape[1], **wanted)


@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize("most", [3, 5000])  # 5000: sums beyond 16 bits
def test_weighted_statistics_equal_repeating_the_rows(rng, graded, most):
    scores, labels, _ = scores_and_labels(rng, n=40, graded=graded)
    weights = rng.integers(0, most, size=(40, 7))
    values = of(scores, labels, weights)
    for b, times in enumerate(weights.T):
        x, y = np.repeat(scores, times, axis=1), np.repeat(labels, times)
        aucs = [np.nan if graded else roc_auc_score(y, row) for row in x]
        assert values["spearman"][:, b] == pytest.approx([stats.spearmanr(row, y).statistic for row in x], abs=1e-12)
        assert values["pearson"][:, b] == pytest.approx([stats.pearsonr(row, y).statistic for row in x], abs=1e-11)
        assert values["auc"][:, b] == pytest.approx(aucs, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("decimals", [0, 1, 2])  # from all scores tied to a few
def test_scores_with_many_and_with_few_ties_equal_repeating_the_rows(rng, decimals):
    scores, labels, _ = scores_and_labels(rng, n=70, encoders=4)
    scores, weights = np.round(scores, decimals), rng.integers(0, 4, size=(70, 5))
    values = of(scores, labels, weights, wanted=["spearman"])["spearman"]
    for b, times in enumerate(weights.T):
        x, y = np.repeat(scores, times, axis=1), np.repeat(labels, times)
        assert values[:, b] == pytest.approx([stats.spearmanr(row, y).statistic for row in x], abs=1e-12)


def test_labels_without_ties_are_correlated_as_scores_are(rng):
    """rho is symmetric: what are scores and what labels is no matter."""
    x, y = rng.standard_normal((2, 60))
    weights = rng.integers(0, 4, size=(60, 9))
    one, other = (of(row[None], labels, weights, wanted=["spearman"]) for row, labels in ((x, y), (y, x)))
    assert one["spearman"] == pytest.approx(other["spearman"], abs=1e-12)


def test_statistics_are_undefined_where_scores_or_labels_are_equal():
    # everything; label 0 only; two equal scores with labels 1 and 0; nothing
    weights = np.array([[1.0, 1, 0, 0], [1, 0, 1, 0], [1, 0, 1, 0]])
    values = of(np.array([[1.0, 2, 2]]), np.array([0.0, 1, 0]), weights)
    assert np.isnan(values["spearman"][0]).tolist() == [False, True, True, True]
    assert np.isnan(values["pearson"][0]).tolist() == [False, True, True, True]
    assert np.isnan(values["auc"][0]).tolist() == [False, True, False, True]
    equal = of(np.array([[1.0, 2, 2]]), np.ones(3), weights)
    assert np.isnan(equal["spearman"]).all()
    assert np.isnan(equal["pearson"]).all()


def test_equal_scores_are_undefined_however_often_they_are_drawn(rng):
    weights = rng.integers(1 << 18, 1 << 20, (50, 40))  # products of three of their sums are rounded
    for labels in (np.arange(50) % 2.0, np.arange(50) % 5.0):
        assert np.isnan(of(np.ones((1, 50)), labels, weights, wanted=["spearman"])["spearman"]).all()


@pytest.mark.parametrize("wanted", [["spearman"], ["auc", "pearson"], ["pearson"]])
def test_what_is_wanted_alone_is_what_it_is_beside_the_others(rng, wanted):
    scores, labels, _ = scores_and_labels(rng)
    weights = rng.integers(0, 4, size=(90, 30))
    every, some = of(scores, labels, weights), of(scores, labels, weights, wanted=wanted)
    assert list(some) == wanted
    assert all(np.array_equal(some[name], every[name]) for name in wanted)


def slow_rho(x, y, weights):
    """rho of pairs repeated w times each, in Python's whole numbers until the last divisions."""
    w = [int(times) for times in weights]
    total = sum(w)

    def ranked(values):
        """2 r + N for each pair, as W(<) + W(<=), and the cubes of the groups of ties."""
        groups = {}
        for value, times in sorted(zip(values.tolist(), w)):
            groups[value] = groups.get(value, 0) + times
        upto = dict(zip(groups, itertools.accumulate(groups.values())))
        return [2 * upto[value] - groups[value] for value in values.tolist()], sum(g**3 for g in groups.values())

    (of_x, cubes_x), (of_y, cubes_y) = ranked(x), ranked(y)
    shared = sum(times * r * (s - total) for times, r, s in zip(w, of_x, of_y)) / 4
    with np.errstate(invalid="ignore"):
        return shared / np.sqrt((total**3 - cubes_x) / 12 * np.float64((total**3 - cubes_y) / 12))


@pytest.mark.parametrize("kind", ["binary", "graded", "different"])
@pytest.mark.parametrize("most", [3, 256, 700])  # weights of a byte and of two; sums of two bytes and of four
def test_rho_is_that_of_whole_numbers_to_the_last_bit_in_blocks_of_any_size(rng, monkeypatch, kind, most):
    n = 230
    labels = {"binary": rng.integers(0, 2, n), "graded": rng.integers(0, 11, n) / 2, "different": rng.random(n)}[kind]
    scores = rng.standard_normal((5, n)) + labels
    scores[0], scores[1], scores[2], scores[3] = 1, scores[1] > 0, np.round(scores[2]), np.round(scores[3], 2)
    weights = rng.integers(0, most, (n, 9)).astype(np.min_scalar_type(most - 1))
    slow = [[slow_rho(row, labels, times) for times in weights.T] for row in scores]
    for cells in (1, 70 * 64, 1 << 17):
        monkeypatch.setattr(running_sums, "CELLS", cells)
        monkeypatch.setattr(weighted, "ROWS", max(1, cells // 640))
        assert np.array_equal(of(scores, labels, weights, wanted=["spearman"])["spearman"], slow, equal_nan=True)


def test_pairs_of_moments_may_be_summed_in_parts(rng, monkeypatch):
    scores, labels, _ = scores_and_labels(rng)
    weights = rng.integers(0, 4, (90, 70))
    whole = of(scores, labels, weights, wanted=["pearson"])["pearson"]
    monkeypatch.setattr(weighted, "CELLS", 7 * weighted.NARROWEST)  # parts of 7 pairs
    in_parts = of(scores, labels, weights, wanted=["pearson"])["pearson"]
    assert in_parts == pytest.approx(whole, abs=1e-12)


def test_weights_are_drawn_once_in_order_and_in_bounded_blocks(rng, monkeypatch):
    monkeypatch.setattr(weighted, "CELLS", 90 * 8)
    scores, labels, _ = scores_and_labels(rng)
    blocks = []

    def draw(start, stop):
        blocks.append((start, stop))
        return np.ones((90, stop - start))

    weighted_statistics(scores, labels, draw, 200)
    assert [start for start, _ in blocks] == [0, *(stop for _, stop in blocks[:-1])]
    assert blocks[-1][1] == 200
    assert max(stop - start for start, stop in blocks) == weighted.LINE


def test_the_order_of_one_row_of_scores_is_held_at_a_time(rng):
    scores, labels = rng.standard_normal((40, 5000)), rng.integers(0, 2, 5000)
    tracemalloc.start()
    ranks = weighted._Ranks(scores, labels, 64)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(ranks.rows) == 40
    assert held < 40 * 2 * scores[0].nbytes
    assert peak - held < 20 * scores[0].nbytes  # of one order and its blocks; the orders of all take 120


@pytest.mark.parametrize(("graded", "bytes_a_pair"), [(False, 64 + 64), (True, 64 + 256 + 256)])
def test_resamples_of_many_pairs_take_so_many_bytes_a_pair(rng, graded, bytes_a_pair):
    """Beyond the scores and their blocks: weights of a byte, what they are multiplied by, and blocks of fixed size."""
    n = 1 << 16
    labels = rng.random(n) if graded else rng.integers(0, 2, n)
    scores = rng.standard_normal((2, n))
    scores[1] = scores[1] > 1  # two groups of ties, much larger than a block
    ranks = weighted._Ranks(scores, labels, weighted.LINE)
    tracemalloc.start()
    ranks.spearman_and_auc(rng.integers(0, 4, (n, weighted.LINE), np.uint8))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < bytes_a_pair * n + 24 * running_sums.CELLS
