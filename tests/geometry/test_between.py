"""Two layers beside each other: CKA and subspace displacement."""

import numpy as np
import pytest
from scipy import linalg

from pipeline.geometry.between import DIRECTIONS, cka, displacement, u_centred


def turned(rng, dim):
    return np.linalg.qr(rng.standard_normal((dim, dim)))[0]


def unbiased_hsic(k, m):
    """Kernels (N, N) -> HSIC without bias: traces and sums of kernels whose diagonal is 0, as the formula in feature
    space is derived from.
    """
    n = len(k)
    k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
    one = np.ones(n)
    terms = (
        np.trace(k @ m) + (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * (one @ k @ m @ one)
    )
    return terms / (n * (n - 3))


def test_hsic_by_its_definition(rng):
    a, b = rng.standard_normal((2, 12, 5))
    k, m = a @ a.T, b @ b.T
    product = (u_centred(k) * u_centred(m)).sum() / (12 * 9)
    assert product == pytest.approx(unbiased_hsic(k, m), rel=1e-10)


def test_cka_by_the_formula_in_feature_space(rng):
    """As feature_space_linear_cka(debiased=True) has it: |X^T Y|^2 without what the diagonals add."""
    x = rng.standard_normal((20, 6))
    y = x @ rng.standard_normal((6, 6)) + rng.standard_normal((20, 6))
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)

    def product(a, b):
        n, rows_a, rows_b = len(a), (a**2).sum(axis=1), (b**2).sum(axis=1)
        correction = n / (n - 2) * rows_a @ rows_b - rows_a.sum() * rows_b.sum() / ((n - 1) * (n - 2))
        return np.linalg.norm(a.T @ b) ** 2 - correction

    expected = product(x, y) / np.sqrt(product(x, x) * product(y, y))
    found = cka(np.stack([x, y]))
    assert found[0, 1] == pytest.approx(expected, rel=1e-9)
    assert found[1, 0] == pytest.approx(expected, rel=1e-9)
    assert np.diag(found) == pytest.approx(1)


def test_a_rotation_a_scale_and_an_offset_leave_cka_at_1(rng):
    x = rng.standard_normal((30, 8))
    assert cka(np.stack([x, x @ turned(rng, 8) * 7 + 100]))[0, 1] == pytest.approx(1, abs=1e-9)
    assert cka(np.stack([x, x * np.array([9.0, *[1] * 7])]))[0, 1] < 0.95


def test_cka_of_independent_vectors_is_0_whatever_their_dimension(rng):
    """Without the correction it would be some D / (D + N) = .67 here. Debiased it has a standard deviation of about
    sqrt(2) / N = .03.
    """
    assert abs(cka(rng.standard_normal((2, 50, 100)))[0, 1]) < 0.3


def test_vectors_without_differences_have_no_cka(rng):
    same = np.ones((20, 4))
    assert np.isnan(cka(np.stack([same, rng.standard_normal((20, 4))]))[0, 1])


@pytest.mark.parametrize("count", [80, 15])
def test_displacement_by_the_principal_angles_of_scipy(rng, count):
    layers = rng.standard_normal((3, count, 30)) * np.arange(1, 31)
    found = displacement(layers)
    bases = []
    for layer in layers:
        right = np.linalg.svd(layer - layer.mean(axis=0), full_matrices=False)[2]
        bases.append(right[: min(DIRECTIONS, count - 1)].T)
    angles = linalg.subspace_angles(bases[0], bases[2])
    assert found[0, 2] == pytest.approx(np.sqrt((angles**2).mean()) / (np.pi / 2), rel=1e-6)
    assert np.diag(found) == pytest.approx(0, abs=1e-6)


def test_displacement_in_closed_form(rng):
    """The same directions: 0. Other dimensions altogether: 1. All turned by 30 degrees out of their span: a third."""
    scores = rng.standard_normal((100, DIRECTIONS))
    first, second = np.zeros((2, 100, 2 * DIRECTIONS))
    first[:, :DIRECTIONS], second[:, DIRECTIONS:] = scores, scores
    between = first * np.cos(np.pi / 6) + second * np.sin(np.pi / 6)
    found = displacement(np.stack([first, second, between, first * 5 + 1]))
    assert found[0] == pytest.approx([0, 1, 1 / 3, 0], abs=1e-6)


def test_a_layer_that_spreads_in_too_few_directions_has_no_displacement(rng):
    full = rng.standard_normal((60, 30))
    for count in (60, 20):
        flat = np.zeros((count, 30))
        flat[:, :4] = rng.standard_normal((count, 4))
        found = displacement(np.stack([full[:count], flat, full[:count], np.ones((count, 30))]))
        assert np.isnan(found[[1, 3]]).all()
        assert np.isnan(found[:, [1, 3]]).all()
        assert found[0, 2] == pytest.approx(0, abs=1e-6)


def test_displacement_sees_a_rotation(rng):
    x = rng.standard_normal((60, 30)) * np.arange(1, 31)
    assert displacement(np.stack([x, x @ turned(rng, 30)]))[0, 1] > 0.2
