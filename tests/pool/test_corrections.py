import tracemalloc

import numpy as np
import pytest
from scipy.linalg import null_space
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.preprocessing import StandardScaler

from pipeline.base.errors import InputError
from pipeline.formats.unembeddings import Unembedding
from pipeline.pool import train_vectors
from pipeline.pool.corrections import BY_UNEMBEDDING, CORRECTIONS
from pipeline.pool.names import Correction
from pipeline.pool.train_vectors import NoUnembeddingError, RankError, Spectrum, TrainVectors, WidthError


def draw(rng, n=60, dim=7):
    """Train and other vectors with a common offset and directions of very different variance."""
    directions = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
    mix = directions * 10.0 ** -(np.arange(dim)[:, None] ** 0.5)
    return rng.standard_normal((n, dim)) @ mix + 3, rng.standard_normal((20, dim)) @ mix + 3


def fit(name, train):
    return Correction.parse(name).fit(train)


def head(dim=7, words=90):
    """An unembedding W (V, D) that is the same wherever it is drawn, and the gain of the norm before it."""
    rng = np.random.default_rng(1)
    return rng.standard_normal((words, dim)) * 2.0 ** -np.arange(dim), rng.uniform(0.5, 2, dim)


def taken_apart(weight, gain, centred=False):
    _, values, right = np.linalg.svd(weight, full_matrices=False)
    return Unembedding(right, values, gain, centred)


def filtering(name, vectors, unembedding):
    return Correction.parse(name).fit(TrainVectors(vectors, unembedding))(vectors)


ORACLES = {  # by scikit-learn or SciPy; add a row for a new correction
    "none": lambda train, x: x,
    "centre": lambda train, x: StandardScaler(with_std=False).fit(train).transform(x),
    "remove_mean_direction": lambda train, x: (
        x @ null_space(train.mean(axis=0)[None]) @ null_space(train.mean(axis=0)[None]).T
    ),
    "standardise": lambda train, x: StandardScaler().fit(train).transform(x),
    "all_but_the_top_2": lambda train, x: x - PCA(2).fit(train).inverse_transform(PCA(2).fit(train).transform(x)),
    "whitening_3": lambda train, x: (
        PCA(3, whiten=True).fit(train).transform(x) * np.sqrt(len(train) / (len(train) - 1))
    ),
}


def test_every_entry_is_tested():
    assert {Correction.parse(name).entry for name in ORACLES} == set(CORRECTIONS) - set(BY_UNEMBEDDING)


@pytest.mark.parametrize("name", ORACLES)
def test_corrections_equal_scikit_learn_and_scipy(name, rng):
    train, x = draw(rng)
    corrected, expected = fit(name, train)(x), ORACLES[name](train, x)
    largest = np.abs(x).max()
    assert np.abs(np.abs(corrected) - np.abs(expected)).max() < 1e-9 * largest + 1e-9  # the sign of a direction is free
    assert corrected @ corrected.T == pytest.approx(expected @ expected.T, rel=1e-8, abs=1e-8)


def test_whitened_train_vectors_are_uncorrelated_with_variance_one(rng):
    train, _ = draw(rng)
    whitened = fit("whitening_7", train)(train)
    # the error of an eigenvector is eps / the relative size of the smallest eigenvalue, summed over 7 dimensions
    condition = np.linalg.cond(train - train.mean(axis=0)) ** 2
    tolerance = 7 * 10 * np.finfo(float).eps * condition
    assert tolerance < 1e-6
    assert whitened.T @ whitened / len(train) == pytest.approx(np.eye(7), abs=tolerance)


def test_whitened_vectors_of_other_sentences_are_not(rng):
    train, x = draw(rng)
    whitened = fit("whitening_7", train)(x)
    assert np.abs(whitened.T @ whitened / len(x) - np.eye(7)).max() > 0.05


def test_principal_directions_without_a_mean_are_those_of_truncated_svd(rng):
    train, _ = draw(rng)
    sigma, top = Spectrum.of(train).largest(2, "x")
    oracle = TruncatedSVD(2, algorithm="arpack").fit(train)
    assert sigma == pytest.approx(oracle.singular_values_, rel=1e-9)
    assert np.abs(np.sum(top.T * oracle.components_, axis=1)) == pytest.approx([1, 1], abs=1e-9)


def test_a_dimension_without_variance_is_nothing(rng):
    train, x = draw(rng)
    train[:, 2] = 3.3
    assert (fit("standardise", train)(x)[:, 2] == 0).all()


@pytest.mark.parametrize("name", ["whitening_8", "all_but_the_top_61"])
def test_more_directions_than_there_are_is_refused(name, rng):
    message = rf"{name}: 60 train vectors of 7 dimensions have rank 7, expected k from 1 to 7"
    with pytest.raises(RankError, match=message):
        fit(name, draw(rng)[0])
    assert issubclass(RankError, InputError)


def test_equal_vectors_have_no_directions():
    assert Spectrum.of(np.zeros((4, 3))).rank == 0
    with pytest.raises(RankError, match="4 train vectors of 3 dimensions have rank 0"):
        fit("whitening_1", np.ones((4, 3)))


@pytest.mark.parametrize("name", [name for name in ORACLES if name != "standardise"])
def test_more_dimensions_than_train_vectors_are_no_matter(name, rng):
    """The same points in 4 dimensions and, by a rotation, in 50: what a correction makes of them is a rotation away."""
    train, x = draw(rng, n=12, dim=4)
    rotation = np.linalg.qr(rng.standard_normal((50, 50)))[0][:4]
    wide, narrow = fit(name, train @ rotation)(x @ rotation), fit(name, train)(x)
    assert wide @ wide.T == pytest.approx(narrow @ narrow.T, rel=1e-8, abs=1e-8)


def test_directions_of_few_wide_vectors_are_those_of_the_singular_value_decomposition(rng):
    train = rng.standard_normal((9, 40)) * 3
    sigma, top = Spectrum.of(train).largest(9, "x")
    _, oracle, right = np.linalg.svd(train, full_matrices=False)
    assert sigma == pytest.approx(oracle, rel=1e-10)
    assert np.abs(np.vecdot(top.T, right)) == pytest.approx(np.ones(9), abs=1e-9)
    assert top.T @ top == pytest.approx(np.eye(9), abs=1e-9)
    with pytest.raises(RankError, match="whitening_9: 9 train vectors of 40 dimensions have rank 8, expected k from 1"):
        fit("whitening_9", train)


@pytest.mark.parametrize("name", ["all_but_the_top_2", "whitening_3"])
def test_no_matrix_is_as_large_as_the_square_of_the_width(name, rng):
    """Recurrent states have a hundred thousand dimensions, whose square is 80 GB."""
    train, x = rng.standard_normal((6, 20_000)), rng.standard_normal((4, 20_000))
    tracemalloc.start()
    try:
        corrected = fit(name, train)(x)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20 * 10 * 20_000 * 8  # some copies of ten vectors
    assert np.isfinite(corrected).all()


def test_nothing_of_the_mean_direction_is_left_and_all_else_is(rng):
    """A planted offset along one axis: that axis is emptied, however long the offset, and the others stay."""
    signal = rng.standard_normal((200, 5))
    signal[:, 0] = 0
    signal -= signal[:100].mean(axis=0)
    for length in (1e-3, 1.0, 1e4):
        x = signal.copy()
        x[:, 0] = length * rng.uniform(0.5, 2, 200)
        corrected = fit("remove_mean_direction", x[:100])(x)
        assert corrected == pytest.approx(signal, abs=1e-12 * max(1, length) * 10)
        if length > 1:  # centring leaves what differs from the mean along the offset
            assert np.abs(fit("centre", x[:100])(x)[:, 0]).max() > 0.1 * length


def test_vectors_without_a_mean_lose_nothing(rng):
    half = rng.standard_normal((30, 4))
    train, x = np.concatenate([half, -half]), rng.standard_normal((9, 4))
    assert np.array_equal(fit("remove_mean_direction", train)(x), x)
    assert np.array_equal(fit("remove_mean_direction", np.zeros((3, 4)))(x), x)


def cosines(vectors):
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit @ unit.T


@pytest.mark.parametrize(("k", "kept"), [(1, slice(0, 8)), (2, slice(2, 6)), (3, slice(3, 5)), (8, slice(3, 4))])
def test_the_filter_keeps_what_the_authors_code_keeps(rng, k, kept):
    """hidden_size // filter_ratio rows of Vh, from (hidden_size - filter_num) // 2 on, of the normed state."""
    weight, gain = head(8)
    states = rng.standard_normal((5, 8)) + 1
    normed = gain * states / np.sqrt((states**2).mean(axis=1, keepdims=True))  # an RMSNorm
    right = np.linalg.svd(weight)[2]
    expected = cosines(normed @ right[kept].T)
    assert cosines(filtering(f"embed_filter_{k}", states, taken_apart(weight, gain))) == pytest.approx(expected)
    if k == 1:
        assert cosines(normed) == pytest.approx(expected)  # all directions: the norm alone
    else:
        assert np.abs(cosines(normed) - expected).max() > 1e-3


def test_the_filter_centres_where_the_norm_does(rng):
    weight, gain = head()
    vectors = rng.standard_normal((5, 7))
    centred = vectors - vectors.mean(axis=1, keepdims=True)
    found = filtering("embed_filter_2", vectors, taken_apart(weight, gain, centred=True))
    assert found == pytest.approx(filtering("embed_filter_2", centred, taken_apart(weight, gain)))
    assert found == pytest.approx(filtering("embed_filter_2", vectors + 9, taken_apart(weight, gain, centred=True)))
    assert not np.allclose(found, filtering("embed_filter_2", vectors, taken_apart(weight, gain)))


def test_a_frequent_word_that_is_planted_at_an_edge_is_filtered_out_and_one_in_the_bulk_stays(rng):
    """All vectors share a long component, which hides what they say, along one singular direction or another."""
    directions = np.linalg.qr(rng.standard_normal((8, 8)))[0]
    unembedding = Unembedding(directions, np.arange(8, 0, -1.0), np.ones(8), centred=False)
    said = rng.standard_normal((6, 4)) @ directions[2:6]
    for edge in (0, 1, 6, 7):
        hidden = said + 50 * directions[edge]
        assert cosines(hidden).min() > 0.95
        assert cosines(filtering("embed_filter_2", hidden, unembedding)) == pytest.approx(cosines(said), abs=1e-9)
    assert cosines(filtering("embed_filter_2", said + 50 * directions[3], unembedding)).min() > 0.95


def test_what_cannot_be_filtered_is_refused_with_the_reason(rng):
    vectors, unembedding = rng.standard_normal((5, 7)), taken_apart(*head())
    with pytest.raises(NoUnembeddingError, match="embed_filter_2: there is no unembedding to filter by"):
        fit("embed_filter_2", vectors)
    with pytest.raises(WidthError, match="embed_filter_2: vectors of 14 dimensions, expected 7 as in the model"):
        filtering("embed_filter_2", np.tile(vectors, 2), unembedding)
    with pytest.raises(RankError, match="embed_filter_8: 7 dimensions, expected k from 1 to 7"):
        filtering("embed_filter_8", vectors, unembedding)


def test_two_corrections_share_one_spectrum(rng, monkeypatch):
    calls, eigh = [], np.linalg.eigh
    monkeypatch.setattr(np.linalg, "eigh", lambda matrix: calls.append(1) or eigh(matrix))
    train, x = draw(rng)
    shared = TrainVectors(train)
    for name in ("whitening_3", "all_but_the_top_1"):
        assert np.array_equal(Correction.parse(name).fit(shared)(x), fit(name, train)(x))
    assert len(calls) == 3


@pytest.mark.parametrize("name", ["centre", "remove_mean_direction", "standardise", "all_but_the_top_2", "whitening_3"])
def test_train_vectors_in_parts_are_those_at_once(rng, monkeypatch, name):
    vectors, others = draw(rng)
    chosen = np.sort(rng.permutation(60)[:41])
    at_once = Correction.parse(name).fit(vectors[chosen])(others)
    monkeypatch.setattr(train_vectors, "NUMBERS_AT_ONCE", 7 * 6)  # parts of 6 vectors, the last of 5
    assert [len(part) for part in TrainVectors(vectors, chosen=chosen).parts()] == [6] * 6 + [5]
    in_parts = Correction.parse(name).fit(TrainVectors(vectors, chosen=chosen))(others)
    # a column of eigenvectors has no sign of its own, and whitening keeps it
    aligned = in_parts * np.sign((in_parts * at_once).sum(axis=0)) if name == "whitening_3" else in_parts
    assert aligned == pytest.approx(at_once, rel=1e-9, abs=1e-9)
