"""TwoNN on manifolds of known dimension, and against scikit-dimension."""

import numpy as np
import pytest

from pipeline.geometry.neighbours import distinct, squared_distances, two_nn

STEPS = np.arange(300)[:, None]
ANGLES = 2 * np.pi * ((STEPS * np.sqrt([2.0, 3.0, 5.0])) % 1)
TORUS = np.concatenate([np.cos(ANGLES), np.sin(ANGLES)], axis=1)
"""points that no random generator draws, (300, 6)"""
WAVES = np.concatenate([TORUS, np.sin(STEPS * np.arange(1, 31) ** 0.5)], axis=1)
"""(300, 36): more than 25 dimensions, where scikit-dimension sorts all distances"""


def planted(rng, dim, count=600, ambient=20):
    """Points with an even density on a flat manifold of a dimension, without an edge: a torus, turned and moved."""
    angles = rng.uniform(0, 2 * np.pi, (count, dim))
    points = np.zeros((count, max(ambient, 2 * dim)))
    points[:, : 2 * dim] = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    turn = np.linalg.qr(rng.standard_normal((points.shape[1], points.shape[1])))[0]
    return points @ turn * 3 + 7


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_dimension_of_a_planted_manifold_is_found(rng, dim):
    """The slope is off by about dim / sqrt(N) = 4 %; a third is eight of that."""
    assert two_nn(planted(rng, dim)) == pytest.approx(dim, rel=0.33)


def test_more_dimensions_give_more(rng):
    assert two_nn(planted(rng, 1)) < two_nn(planted(rng, 3)) < two_nn(planted(rng, 9))


@pytest.mark.parametrize(("points", "found"), [(TORUS, 3.678898300837694), (WAVES, 20.03252984971371)])
def test_it_is_what_scikit_dimension_found(points, found):
    """TwoNN().fit(points).dimension_ of scikit-dimension 0.5.0."""
    assert two_nn(points) == pytest.approx(found, rel=1e-9)


def test_it_is_what_scikit_dimension_finds(rng):
    skdim = pytest.importorskip("skdim", reason="scikit-dimension is not installed")
    points = planted(rng, 4)
    assert two_nn(points) == pytest.approx(skdim.id.TwoNN().fit(points).dimension_, rel=1e-9)


def test_copies_and_points_apart_by_rounding_change_nothing(rng):
    points = planted(rng, 2)
    again = np.concatenate([points, points[:100], points[100:150] * (1 + 1e-13)])
    assert two_nn(again) == pytest.approx(two_nn(points), rel=1e-6)


def test_rotation_scale_and_offset_change_nothing(rng):
    points = planted(rng, 2)
    turn = np.linalg.qr(rng.standard_normal((20, 20)))[0]
    assert two_nn(points @ turn * 0.01 - 5) == pytest.approx(two_nn(points), rel=1e-6)


def test_points_that_are_few_or_one_have_no_dimension(rng):
    assert np.isnan(two_nn(rng.standard_normal((9, 3))))
    assert np.isnan(two_nn(np.ones((50, 3))))


def test_distances_by_definition(rng):
    points = rng.standard_normal((7, 3))
    expected = [[((a - b) ** 2).sum() for b in points] for a in points]
    assert squared_distances(points) == pytest.approx(np.array(expected), abs=1e-12)
    assert distinct(np.array([[0, 0, 4], [0, 0, 4], [4, 4, 0.0]])).tolist() == [0, 2]
