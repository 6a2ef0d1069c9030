import numpy as np
import polars as pl
import pytest
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.preprocessing import StandardScaler

from pipeline import scoring, vectors
from pipeline.corrections import correction_of, principal


def draw(n=60, dim=7):
    """Train and other vectors with a common offset and directions of very different variance."""
    rng = np.random.default_rng()
    mix = rng.standard_normal((dim, dim)) * 10.0 ** -(np.arange(dim)[:, None] ** 0.5)
    return rng.standard_normal((n, dim)) @ mix + 3, rng.standard_normal((20, dim)) @ mix + 3


ORACLES = {
    "none": lambda train, x: x,
    "centre": lambda train, x: StandardScaler(with_std=False).fit(train).transform(x),
    "standardise": lambda train, x: StandardScaler().fit(train).transform(x),
    "all_but_the_top_2": lambda train, x: x - PCA(2).fit(train).inverse_transform(PCA(2).fit(train).transform(x)),
    "whitening_3": lambda train, x: PCA(3, whiten=True).fit(train).transform(x) * np.sqrt(len(train) / (len(train) - 1)),
}


@pytest.mark.parametrize("name", ORACLES)
def test_corrections_equal_scikit_learn(name):
    train, x = draw()
    found, expected = correction_of(name)(train)(x), ORACLES[name](train, x)
    assert np.abs(np.abs(found) - np.abs(expected)).max() < 1e-9 * np.abs(x).max() + 1e-9  # the sign of a direction is free
    assert found @ found.T == pytest.approx(expected @ expected.T, rel=1e-8, abs=1e-8)


def test_whitened_train_vectors_are_uncorrelated_with_variance_one_and_others_are_not():
    train, x = draw()
    fit = correction_of("whitening_7")(train)
    assert fit(train).T @ fit(train) / len(train) == pytest.approx(np.eye(7), abs=1e-9)
    assert np.abs(fit(x).T @ fit(x) / len(x) - np.eye(7)).max() > 0.05


def test_principal_directions_without_a_mean_are_those_of_truncated_svd():
    train, _ = draw()
    sigma, top = principal(train, 2, "x")
    oracle = TruncatedSVD(2, algorithm="arpack").fit(train)
    assert sigma == pytest.approx(oracle.singular_values_, rel=1e-9)
    assert np.abs(np.sum(top.T * oracle.components_, axis=1)) == pytest.approx([1, 1], abs=1e-9)


def test_a_dimension_without_variance_is_nothing():
    train, x = draw()
    train[:, 2] = 3.3
    assert (correction_of("standardise")(train)(x)[:, 2] == 0).all()


@pytest.mark.parametrize("name", ["whitening_8", "whitening_0", "all_but_the_top_61"])
def test_more_directions_than_there_are_is_refused(name):
    with pytest.raises(ValueError, match=rf"{name}: 60 train vectors of 7 dimensions have rank 7, expected k from 1 to 7"):
        correction_of(name)(draw()[0])


@pytest.mark.parametrize("name", ["whitening", "centre_3", "whitening_K", "center", "none_1"])
def test_unknown_names_are_refused(name):
    with pytest.raises(ValueError, match=f"correction is '{name}', expected one of none, centre, standardise, all_but_the_top_K, whitening_K"):
        correction_of(name)
    with pytest.raises(ValueError, match=f"correction is '{name}'"):
        scoring.Score(["cosine"], [name])


def test_scores_are_of_vectors_corrected_on_the_train_sentences_alone(tmp_path):
    rng = np.random.default_rng()
    encoded = rng.standard_normal((40, 5)).astype(np.float32) + 2
    encoded[30:] *= 50  # of no train pair: a correction fitted on all would be another
    first, second = np.arange(0, 40, 2), np.arange(1, 40, 2)
    pairs = pl.DataFrame(
        {"pair_id": range(20), "split": ["train"] * 15 + ["test"] * 5, "label": [0.0, 1.0] * 10, "sentence1_id": first, "sentence2_id": second}
    )
    vectors.write(tmp_path / "vectors.parquet", np.arange(40), {0: encoded}, {"encoder": "m", "pooling": "mean", "layers": True})
    table = scoring.score_encoder(tmp_path, pairs, scoring.Score(["cosine", "dot"], ["none", "centre", "whitening_2"]))
    assert len(table) == 20 * 6
    for name in ("centre", "whitening_2"):
        corrected = correction_of(name)(encoded[:30])(encoded.astype(np.float64))
        expected = scoring.cosine(corrected[first], corrected[second])
        assert table.filter(correction=name, similarity="cosine")["score"].to_numpy() == pytest.approx(expected, abs=1e-12)
        assert np.abs(table.filter(correction="none", similarity="cosine")["score"].to_numpy() - expected).max() > 1e-3


def test_a_correction_of_more_dimensions_than_there_are_is_left_out_and_said(tmp_path):
    """A baseline of few dimensions beside a model of many: the model's correction is scored, the baseline's is not."""
    rng, said = np.random.default_rng(), []
    pairs = pl.DataFrame({"pair_id": range(10), "split": ["train"] * 10, "label": [0.0, 1.0] * 5, "sentence1_id": range(10), "sentence2_id": range(10, 20)})
    vectors.write(tmp_path / "vectors.parquet", np.arange(20), {0: rng.standard_normal((20, 3))}, {"encoder": "w", "pooling": "mean", "layers": False})
    table = scoring.score_encoder(tmp_path, pairs, scoring.Score(["cosine"], ["none", "whitening_4", "whitening_3"]), said.append)
    assert set(table["correction"]) == {"none", "whitening_3"}
    assert said == ["w: whitening_4 is left out, its vectors of 3 dimensions have too low a rank"]
