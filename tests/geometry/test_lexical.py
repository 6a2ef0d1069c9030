"""How much of the bag of words a vector holds."""

import numpy as np
import pytest

from pipeline.geometry import lexical


def r_squared(vectors, counts, component=None):
    component = np.arange(len(vectors)) if component is None else component
    found = lexical.errors(vectors, counts, component, seed=0)
    return 1 - found["word_error"].sum() / found["word_variance"].sum()


def draw(rng, count=200, words=12):
    """Random sentences as token ids, and their bags."""
    ids = [rng.integers(0, words, rng.integers(3, 12)) for _ in range(count)]
    return ids, lexical.bag(ids)


def test_a_bag_by_hand():
    counts = lexical.bag([np.array([0, 5, 5, 7]), np.array([0, 7]), np.array([0, 7, 9])])
    assert counts.tolist() == [[2, 0], [0, 0], [0, 1]] or counts.tolist() == [[0, 2], [0, 0], [1, 0]]  # 0 and 7: in all


def test_the_most_frequent_tokens_are_kept(rng):
    ids = [np.append(rng.permutation(lexical.WORDS)[:150], 10_000 + i) for i in range(30)]
    assert lexical.bag(ids).shape[1] <= lexical.WORDS
    assert lexical.bag(ids).sum() <= 30 * 150 + lexical.WORDS


def test_a_vector_that_is_a_turned_bag_gives_it_back(rng):
    _, counts = draw(rng)
    turned = counts @ rng.standard_normal((counts.shape[1], 30)) * 5 + 2
    assert r_squared(turned, counts) > 0.999


def test_a_vector_that_knows_nothing_gives_nothing(rng):
    """Ridge regression shrinks to the mean; what it does beyond that makes held-out errors larger."""
    _, counts = draw(rng)
    assert -0.3 < r_squared(rng.standard_normal((200, 30)), counts) < 0.05


def test_components_stay_on_one_side(rng):
    """Each sentence has a twin with the same vector and bag. Where twins may be apart, a regression with more
    dimensions than sentences remembers them; where they stay together it cannot.
    """
    _, counts = draw(rng, count=60)
    vectors = rng.standard_normal((60, 400))
    twins = np.tile(np.arange(60), 2)
    together = r_squared(np.tile(vectors, (2, 1)), np.tile(counts, (2, 1)), component=twins)
    apart = r_squared(np.tile(vectors, (2, 1)), np.tile(counts, (2, 1)))
    assert together < 0.3 < 0.5 < apart


def test_no_words_and_few_components_leave_it_undefined(rng):
    vectors, counts = rng.standard_normal((20, 3)), rng.integers(0, 3, (20, 4)).astype(float)
    for of_words, component in ((counts[:, :0], np.arange(20)), (counts, np.arange(20) % 4)):
        assert np.isnan(lexical.errors(vectors, of_words, component, 0)["word_error"]).all()
    same = lexical.errors(np.ones((20, 3)), counts, np.arange(20), 0)  # such as last tokens that are all "."
    assert same["word_error"] == pytest.approx(same["word_variance"])


def test_errors_are_those_of_ridge_regression_by_definition(rng, monkeypatch):
    """With one penalty: (X^T X + a I)^-1 X^T Y on the other folds, with the mean of those taken off."""
    monkeypatch.setattr(lexical, "PENALTIES", (3.0,))
    _, counts = draw(rng, count=50)
    vectors, component = rng.standard_normal((50, 6)), np.arange(50)
    found = lexical.errors(vectors, counts, component, seed=4)
    fold = lexical.folds(component, lexical.FOLDS, 4)
    train = fold != fold[0]
    x, y = vectors - vectors[train].mean(axis=0), counts - counts[train].mean(axis=0)
    x = x / np.sqrt((x[train] ** 2).mean())
    weights = np.linalg.solve(x[train].T @ x[train] + 3 * np.eye(6), x[train].T @ y[train])
    assert found["word_error"][0] == pytest.approx(((y[0] - x[0] @ weights) ** 2).sum(), rel=1e-8)
    assert found["word_variance"][0] == pytest.approx((y[0] ** 2).sum(), rel=1e-10)
