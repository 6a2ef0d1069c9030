"""Measures of sentence vectors against known spectra, closed forms, definitions and SciPy."""

import numpy as np
import pytest
from scipy import special, stats

from pipeline.geometry import sentences
from pipeline.geometry.measure import Sample, eigenvalues
from pipeline.geometry.sentences import SENTENCES, TOP


def value(name, vectors, **columns):
    """A measure of vectors (N, D)."""
    known = {"vectors": vectors, "first_of_component": np.ones(len(vectors), dtype=bool)}
    sample = Sample(known | sentences.entropies_of(vectors) | columns)
    return SENTENCES[name].function(sample)


def with_spectrum(rng, spectrum, count=40):
    """Vectors (N, D) whose covariance has these eigenvalues, exactly, around a mean that is not 0."""
    dim = len(spectrum)
    scores = rng.standard_normal((count, dim))
    left = np.linalg.qr(scores - scores.mean(axis=0))[0]  # orthonormal, each column with mean 0
    turn = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
    return left * np.sqrt(np.array(spectrum) * (count - 1)) @ turn + 3


def test_the_spectrum_is_the_one_that_was_planted(rng):
    spectrum = [5.0, 2.0, 1.0, 0.5]
    assert Sample({"vectors": with_spectrum(rng, spectrum)}).spectrum == pytest.approx(spectrum, rel=1e-10)
    wide = rng.standard_normal((5, 12))  # more dimensions than vectors
    expected = np.sort(np.linalg.eigvalsh(np.cov(wide.T)))[::-1][:4]
    assert Sample({"vectors": wide}).spectrum == pytest.approx(expected, rel=1e-9)
    assert eigenvalues(wide) == pytest.approx(np.linalg.svd(wide, compute_uv=False) ** 2, rel=1e-9)


@pytest.mark.parametrize("equal", [1, 3, 6])
def test_measures_of_the_spectrum_in_closed_form(rng, equal):
    """k equal eigenvalues and D - k that are 0: k dimensions, ln k nats, an IsoScore of (k - 1) / (D - 1)."""
    vectors = with_spectrum(rng, [4.0] * equal + [0.0] * (8 - equal))
    assert value("participation_ratio", vectors) == pytest.approx(equal, rel=1e-9)
    assert value("effective_rank", vectors) == pytest.approx(equal, rel=1e-5)  # square roots of rounding
    assert value("spectral_entropy", vectors) == pytest.approx(np.log(equal), abs=1e-9)
    assert value("iso_score", vectors) == pytest.approx((equal - 1) / 7, abs=1e-9)


def test_effective_rank_takes_singular_values_and_the_entropy_eigenvalues(rng):
    vectors = with_spectrum(rng, [9.0, 1.0, 0.0])
    assert value("effective_rank", vectors) == pytest.approx(np.exp(stats.entropy([3, 1])), rel=1e-6)
    assert value("spectral_entropy", vectors) == pytest.approx(stats.entropy([9, 1]), rel=1e-9)


def test_iso_score_by_the_steps_of_its_definition(rng):
    """As isoscore_star of its authors with zeta = 0 does it, step by step."""
    vectors = with_spectrum(rng, rng.exponential(size=12))
    spectrum = np.linalg.svd(np.cov(vectors.T), compute_uv=False)
    n = len(spectrum)
    normed = spectrum * np.sqrt(n) / np.linalg.norm(spectrum)
    defect = np.linalg.norm(normed - 1) / np.sqrt(2 * (n - np.sqrt(n)))
    expected = ((n - defect**2 * (n - np.sqrt(n))) ** 2 - n) / (n * (n - 1))
    assert value("iso_score", vectors) == pytest.approx(expected, rel=1e-9)


def test_an_isotropic_gaussian_fills_all_dimensions_and_points_nowhere(rng):
    """PR = 1 / (1 / D + 1 / N) for many of both; the mean cosine has a standard deviation of about 1 / (N sqrt(D))."""
    vectors = rng.standard_normal((2000, 50))
    assert value("participation_ratio", vectors) == pytest.approx(1 / (1 / 50 + 1 / 2000), rel=0.03)
    assert abs(value("mean_cosine", vectors)) < 1e-3
    assert value("mean_cosine", vectors + 100) > 0.99
    assert value("top_share", vectors) == pytest.approx(TOP / 50, rel=0.3)


def test_the_mean_cosine_by_definition(rng):
    vectors = rng.standard_normal((9, 4)) + 0.5
    expected = [1 - special_cosine(a, b) for i, a in enumerate(vectors) for j, b in enumerate(vectors) if i != j]
    assert value("mean_cosine", vectors) == pytest.approx(np.mean(expected), abs=1e-12)


def special_cosine(a, b):
    """A distance that SciPy knows."""
    from scipy.spatial import distance

    return distance.cosine(a, b)


def test_the_share_of_dimensions_by_hand():
    vectors = np.array([[3.0, 0, 0, 1, 0], [0, 3, 0, 0, 1]])
    assert value("top_share", vectors) == pytest.approx(19 / 20)  # 9 + 9 + 1 of 20
    assert value("norm", vectors) == pytest.approx(np.sqrt(10))


def test_entropies_of_vectors_by_scipy(rng):
    vectors = rng.standard_normal((6, 40)) * 3
    softmax = special.softmax(vectors, axis=1)
    assert sentences.softmax_entropies(vectors) == pytest.approx(stats.entropy(softmax, axis=1), rel=1e-10)
    histograms = [np.histogram(row, bins=sentences.BINS)[0] for row in vectors]
    assert sentences.histogram_entropies(vectors) == pytest.approx(stats.entropy(histograms, axis=1), rel=1e-10)


def test_entropies_of_vectors_in_closed_form():
    even = np.full((1, 32), 7.0)
    assert sentences.softmax_entropies(even) == pytest.approx(np.log(32))
    assert sentences.softmax_entropies(even * np.arange(32)) == pytest.approx(
        stats.entropy(special.softmax(7.0 * np.arange(32)))
    )
    assert sentences.histogram_entropies(even) == pytest.approx(0)
    assert sentences.histogram_entropies(np.arange(64.0)[None]) == pytest.approx(np.log(64))


def test_the_matrix_entropy_is_not_centred(rng):
    """Copies of one vector have one eigenvalue; orthonormal vectors have as many equal ones as there are."""
    assert value("matrix_entropy", np.tile(rng.standard_normal(8), (5, 1))) == pytest.approx(0, abs=1e-9)
    assert value("matrix_entropy", np.eye(8)[:5]) == pytest.approx(np.log(5))
    vectors = rng.standard_normal((7, 12)) + 1
    squares = np.linalg.svd(vectors, compute_uv=False) ** 2
    assert value("matrix_entropy", vectors) == pytest.approx(stats.entropy(squares), rel=1e-9)


INVARIANT = {"mean_cosine", "iso_score", "norm", "spectral_entropy", "effective_rank", "matrix_entropy"}
INVARIANT |= {"participation_ratio", "intrinsic_dimension"}


@pytest.mark.parametrize("name", sorted(set(SENTENCES) - {"lexical_identity"}))
def test_a_rotation_leaves_alone_what_does_not_look_at_dimensions(rng, name):
    vectors = rng.standard_normal((60, 40)) * np.arange(1, 41) + 2  # entropies of 10 counts would be equal by chance
    turn = np.linalg.qr(rng.standard_normal((40, 40)))[0]
    before, after = value(name, vectors), value(name, vectors @ turn)
    assert (before == pytest.approx(after, rel=1e-6)) == (name in INVARIANT)


@pytest.mark.parametrize("name", SENTENCES)
def test_values_lie_in_their_span_and_below_their_maximum(rng, name):
    measure = SENTENCES[name]
    for count, dim in ((60, 10), (15, 40)):
        vectors = (rng.standard_normal((count, dim)) + 1).astype(np.float32)
        columns = {"word_error": np.ones(count), "word_variance": np.full(count, 2.0)}
        found = value(name, vectors, **columns)
        assert measure.span[0] <= found <= measure.span[1]
        sample = Sample({"vectors": vectors} | columns)
        assert measure.maximum is None or found <= measure.maximum(sample) + 1e-6


def test_vectors_that_are_all_the_same_have_no_spectrum():
    same = np.ones((20, 4))
    for name in ("participation_ratio", "spectral_entropy", "effective_rank", "iso_score", "intrinsic_dimension"):
        assert np.isnan(value(name, same))
    assert value("mean_cosine", same) == pytest.approx(1)
