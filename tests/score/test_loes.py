"""The choice of a layer without labels against a slow version of the authors' code, and on planted layers."""

import numpy as np
import pytest

from pipeline.score.loes import isotropy, looked_at, order_of, redundancy


def slow_isotropy(x, eps=1e-6):
    """compute_isotropy of loes/api.py, eigenvalue by eigenvalue."""
    n, width = x.shape
    mean = [sum(row[d] for row in x) / n for d in range(width)]
    centred = np.array([[row[d] - mean[d] for d in range(width)] for row in x])
    if width > 512:
        values = [s * s / n for s in np.linalg.svd(centred, compute_uv=False)]
    else:
        covariance = sum(np.outer(row, row) for row in centred) / n + eps * np.eye(width)
        values = np.linalg.eigvalsh(covariance).tolist()
    values = [max(value, eps) for value in values]
    average = sum(values) / len(values)
    spread = (sum((value - average) ** 2 for value in values) / len(values)) ** 0.5
    return average / (spread + eps)


def slow_order(layers):
    """_loes_select_label_free with its defaults, until all layers are chosen."""
    own = {layer: 1.0 * (1.0 - slow_isotropy(x)) for layer, x in layers.items()}
    first = min(own, key=own.get)
    order = [(first, own[first])]
    while len(order) < len(layers):
        best = None
        for layer, x in layers.items():
            if layer in dict(order):
                continue
            before = [layers[other] for other, _ in order]
            norms = [np.linalg.norm(x) * np.linalg.norm(y) + 1e-8 for y in before]
            score = own[layer] + 0.5 * max(np.linalg.norm(x.T @ y) / norm for y, norm in zip(before, norms))
            if best is None or score < best[1]:
                best = (layer, score)
        order.append(best)
    return order


def draw(rng, sentences, width, scale=1.0):
    """Vectors with an offset, in whose directions the variance falls at a drawn speed."""
    spread = np.exp(-rng.uniform(0, 3) * np.arange(width) / width)
    turn = np.linalg.qr(rng.standard_normal((width, width)))[0]
    return scale * (rng.standard_normal((sentences, width)) * spread @ turn + 1)


@pytest.mark.parametrize(("sentences", "width"), [(40, 6), (9, 20), (20, 513), (20, 512)])
@pytest.mark.parametrize("scale", [1.0, 1e-3, 300.0])
def test_isotropy_is_that_of_the_authors_code(rng, sentences, width, scale):
    vectors = draw(rng, sentences, width, scale)
    assert isotropy(vectors) == pytest.approx(slow_isotropy(vectors), rel=1e-9)


@pytest.mark.parametrize(("sentences", "width"), [(30, 5), (6, 30)])
def test_the_order_is_that_of_the_authors_code(rng, sentences, width):
    layers = {layer: draw(rng, sentences, width) for layer in (0, 1, 3, 4, 7)}
    found, expected = order_of(layers), slow_order(layers)
    assert [layer for layer, _ in found] == [layer for layer, _ in expected]
    assert [score for _, score in found] == pytest.approx([score for _, score in expected], rel=1e-9)


def test_redundancy_of_a_layer_with_itself_a_copy_and_one_that_shares_nothing():
    one, other = np.zeros((4, 3)), np.zeros((4, 3))
    one[0, 0], other[1, 1] = 2.0, 5.0  # A^T B = 0, for they are of different sentences
    assert redundancy(one @ one.T, one @ one.T) == pytest.approx(1)
    assert redundancy(one @ one.T, 9 * one @ one.T) == pytest.approx(1)
    assert redundancy(one @ one.T, other @ other.T) == 0


def test_a_planted_isotropic_layer_is_chosen_and_in_a_cone_it_is_not(rng):
    """Closed form: of a spectrum with k of D equal values and no others, isotropy is sqrt(k / (D - k))."""
    half = np.concatenate([np.eye(8)[:4], -np.eye(8)[:4]]) * 2.0
    assert isotropy(half) == pytest.approx(1, rel=1e-4)
    quarter = np.concatenate([np.eye(8)[:2], -np.eye(8)[:2]]) * 2.0
    assert isotropy(quarter) == pytest.approx((2 / 6) ** 0.5, rel=1e-4)
    narrow = {layer: rng.standard_normal((200, 8)) * [3, 1, 1, 1, 0.1, 0.1, 0.1, 0.1] for layer in (0, 1, 3)}
    planted = rng.standard_normal((200, 8))
    order = [layer for layer, _ in order_of(narrow | {2: planted})]
    assert order[0] == 2
    squeezed = planted * [50, 1, 1, 1, 1, 1, 1, 1]  # the opposite: the same sentences in a cone
    assert order_of(narrow | {2: squeezed})[0][0] != 2


def test_a_rotation_and_a_shift_of_a_layer_change_nothing_of_what_is_chosen_first(rng):
    layers = {layer: draw(rng, 50, 6) for layer in range(4)}
    turn = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    moved = {layer: x @ turn + 7 for layer, x in layers.items()}
    assert order_of(moved)[0] == (order_of(layers)[0][0], pytest.approx(order_of(layers)[0][1], rel=1e-9))


def test_of_many_train_sentences_some_are_looked_at_evenly_spaced(rng):
    few, many = np.arange(0, 600, 3), np.sort(rng.permutation(9000)[:4000])
    assert looked_at(few) is few
    found = looked_at(many)
    assert len(found) == len(np.unique(found)) == 512
    assert set(found) <= set(many)
    assert (found[0], found[-1]) == (many[0], many[-1])


def test_no_layers_have_no_order():
    assert order_of({}) == []
