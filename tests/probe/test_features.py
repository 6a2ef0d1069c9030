"""What probes see of a pair: by hand, by the definition of a bilinear form, and the same in either order."""

import numpy as np
import pytest

from pipeline.probe.features import FEATURES, bilinear, difference_product, of_vectors, reduced
from pipeline.probe.names import PROBES

U, V = np.array([[1.0, 2.0]]), np.array([[3.0, -1.0]])
BY_HAND = {
    "difference_product": [2, 3, 3, -2],
    "bilinear": [3, 1 * -1 + 2 * 3, -2],  # u_1 v_1, u_1 v_2 + u_2 v_1, u_2 v_2
}


def test_the_names_of_the_settings_are_those_of_the_registry():
    assert tuple(FEATURES) == PROBES
    assert set(BY_HAND) == set(PROBES)


@pytest.mark.parametrize("probe", PROBES)
def test_features_by_hand(probe):
    assert FEATURES[probe][1](U, V).tolist() == [BY_HAND[probe]]


@pytest.mark.parametrize("probe", PROBES)
def test_features_are_the_same_in_either_order_of_the_sentences_bit_for_bit(probe, rng):
    vectors, first, second = rng.standard_normal((30, 5)).astype(np.float32), np.arange(12), rng.permutation(12) + 12
    one, other = (of_vectors(probe, vectors, *ids, np.arange(20), 3) for ids in ((first, second), (second, first)))
    assert np.array_equal(one, other)
    shifted = of_vectors(probe, vectors, first, second + 1, np.arange(20), 3)
    assert not np.array_equal(one, shifted)


def test_a_linear_function_of_the_bilinear_features_is_u_w_v_by_its_definition(rng):
    u, v, w = rng.standard_normal((7, 5)), rng.standard_normal((7, 5)), rng.standard_normal((5, 5))
    w += w.T
    expected = np.einsum("ni,ij,nj->n", u, w, v)
    assert bilinear(u, v) @ w[np.triu_indices(5)] == pytest.approx(expected, abs=1e-12)


def test_with_the_identity_it_is_the_cosine_of_the_reduced_vectors(rng):
    seen = reduced(rng.standard_normal((40, 6)) + 3, np.arange(30), 4)
    assert seen.shape == (40, 4)
    assert np.linalg.norm(seen, axis=1) == pytest.approx(np.ones(40), abs=1e-12)
    weights = np.eye(4)[np.triu_indices(4)]
    cosines = (seen[:20] * seen[20:]).sum(axis=1)
    assert bilinear(seen[:20], seen[20:]) @ weights == pytest.approx(cosines, abs=1e-12)


def test_directions_are_whitened_on_train_sentences_by_scikit_learn(rng):
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import normalize

    vectors, train = rng.standard_normal((50, 6)) * [9, 5, 3, 2, 1, 0.5], np.arange(35)
    whitened = PCA(3, whiten=True, svd_solver="full").fit(vectors[train]).transform(vectors)
    ours, theirs = reduced(vectors, train, 3), normalize(whitened)
    assert np.abs(ours) == pytest.approx(np.abs(theirs), abs=1e-9)  # a direction may point either way
    other = reduced(vectors, np.arange(34), 3)
    assert np.abs(other - ours).max() > 1e-4


@pytest.mark.parametrize(("rows", "width"), [(np.ones((6, 4)), 1), (np.outer(np.arange(6.0), np.ones(4)), 1)])
def test_vectors_of_a_lower_rank_give_fewer_dimensions_and_nothing_undefined(rows, width):
    seen = reduced(rows, np.arange(5), 3)
    assert seen.shape == (6, width)
    assert np.isfinite(seen).all()


def test_difference_product_has_twice_the_width(rng):
    assert difference_product(rng.standard_normal((3, 8)), rng.standard_normal((3, 8))).shape == (3, 16)
