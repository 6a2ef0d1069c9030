from pathlib import Path

import numpy as np
import polars as pl
import pytest

import stages.score
from pipeline.base.errors import InputError
from pipeline.base.settings import build
from pipeline.formats import baselines, scores, vectors
from pipeline.formats import pairs as pairs_format
from pipeline.formats.arrays import OnDisk
from pipeline.pool import train_vectors
from pipeline.score import combinations, run
from pipeline.score.run import score_baseline, score_model
from pipeline.score.settings import Score
from tests.helpers import contents, pairs_table
from tests.pool.dumps import draw_unembedding, run_fit, run_pool, set_params, write_project

SIMILARITIES = ["cosine", "dot", "neg_euclidean"]
FILTERED = ["none", "embed_filter_2"]


def settings(similarities=("cosine",), corrections=("none",)):
    return build(Score, {"similarities": list(similarities), "corrections": list(corrections)}, "score")


@pytest.fixture
def pairs():
    return pairs_table([1, 0, 1], ["train", "test", "test"], [0, 2, 3], [1, 3, 3])


def write(path, rows, encoder="m", layers=True):
    vectors.write(path, dict(enumerate(rows)), vectors.Info(encoder, "mean", layers))
    return path


def test_a_model_has_a_row_for_each_pair_layer_and_similarity(tmp_path, pairs, rng):
    layers = rng.standard_normal((2, 4, 5)).astype(np.float32)
    table = pl.concat(score_model(write(tmp_path / "v.parquet", layers), "m", pairs, settings(["cosine", "dot"])))
    assert dict(table.schema) == scores.SCHEMA
    assert len(table) == 3 * 2 * 2
    wanted = (pl.col("pair_id") == 1) & (pl.col("layer") == 1) & (pl.col("similarity") == "dot")
    row = table.row(by_predicate=wanted, named=True)
    assert (row["split"], row["label"], row["encoder"], row["pooling"]) == ("test", 0.0, "m", "mean")
    assert row["score"] == pytest.approx(float(layers[1][2].astype(np.float64) @ layers[1][3]))


def test_vectors_of_no_layer_have_no_layer(tmp_path, pairs, rng):
    path = write(tmp_path / "v.parquet", rng.standard_normal((1, 4, 5)), layers=False)
    assert pl.concat(score_model(path, "m", pairs, settings()))["layer"].to_list() == [None] * 3


def test_scores_that_a_baseline_brings_are_kept_as_they_are(tmp_path, pairs):
    baselines.write(tmp_path, "overlap", baselines.Result(scores={"dice": np.array([0.5, 0.25, 1.0])}))
    table = pl.concat(score_baseline(tmp_path, "overlap", pairs, settings()))
    assert table["score"].to_list() == [0.5, 0.25, 1.0]
    keys = table.select("encoder", "pooling", "correction", "layer", "similarity").unique()
    assert keys.rows() == [("overlap", None, None, None, "dice")]


def test_vectors_that_a_baseline_brings_are_scored(tmp_path, pairs, rng):
    baselines.write(tmp_path, "words", baselines.Result(vectors=rng.standard_normal((4, 5)).astype(np.float32)))
    table = pl.concat(score_baseline(tmp_path, "words", pairs, settings(["cosine", "dot"], ["none", "centre"])))
    assert len(table) == 3 * 4
    assert set(table["layer"]) == {None}


def test_a_correction_of_more_dimensions_than_there_are_is_left_out_and_said(tmp_path, pairs, rng):
    said = []
    path = write(tmp_path / "v.parquet", rng.standard_normal((2, 4, 5)))
    table = pl.concat(score_model(path, "m", pairs, settings(corrections=["none", "whitening_4"]), said.append))
    assert set(table["correction"]) == {"none"}
    assert said == ["m: whitening_4 is left out at layers 0, 1: too few dimensions"]


def test_a_filter_by_the_unembedding_is_scored_for_the_model_that_has_one_and_said_of_others(tmp_path, pairs, rng):
    said, unembedding = [], draw_unembedding(rng, 5)
    path, chosen = write(tmp_path / "v.parquet", rng.standard_normal((2, 4, 5))), settings(["cosine"], FILTERED)
    table = pl.concat(score_model(path, "m", pairs, chosen, said.append, unembedding))
    assert set(table["correction"]) == set(FILTERED)
    by_layer = table.pivot("correction", index=["pair_id", "layer"], values="score")
    assert not np.allclose(by_layer["none"], by_layer["embed_filter_2"])
    assert said == []
    table = pl.concat(score_model(path, "m", pairs, chosen, said.append))
    assert set(table["correction"]) == {"none"}
    assert said == ["m: embed_filter_2 is left out: there is no unembedding"]
    baselines.write(tmp_path, "words", baselines.Result(vectors=rng.standard_normal((4, 5)).astype(np.float32)))
    assert len(pl.concat(score_baseline(tmp_path, "words", pairs, chosen, said.append))) == 3
    assert said[1:] == ["words: embed_filter_2 is left out: there is no unembedding"]


@pytest.mark.parametrize("sentences", [3, 5])  # the pairs have 4
def test_vectors_of_another_dataset_are_refused(tmp_path, pairs, sentences):
    path = write(tmp_path / "v.parquet", np.ones((1, sentences, 5)))
    message = rf"v\.parquet holds {sentences} sentences, but the pairs have 4: .*dvc repro -f -s pool@m"
    with pytest.raises(InputError, match=message):
        list(score_model(path, "m", pairs, settings()))


def test_vectors_of_another_model_are_refused(tmp_path, pairs):
    path = write(tmp_path / "v.parquet", np.ones((1, 4, 5)), encoder="other")
    with pytest.raises(InputError, match=r"v\.parquet holds the vectors of other: .*dvc repro -f -s pool@m"):
        list(score_model(path, "m", pairs, settings()))


@pytest.mark.parametrize("count", [2, 4])  # there are 3 pairs
def test_scores_of_another_dataset_are_refused(tmp_path, pairs, count):
    baselines.write(tmp_path, "overlap", baselines.Result(scores={"dice": np.linspace(0, 1, count)}))
    message = rf"scores\.parquet holds {count} scores, but there are 3 pairs: .*baseline@overlap"
    with pytest.raises(InputError, match=message):
        list(score_baseline(tmp_path, "overlap", pairs, settings()))


def test_an_encoder_whose_stage_has_not_run_is_named(tmp_path, pairs):
    with pytest.raises(InputError, match=r"nowhere/vectors\.parquet is not there: .*pool@m"):
        list(score_model(tmp_path / "nowhere/vectors.parquet", "m", pairs, settings()))
    with pytest.raises(InputError, match=r"nowhere/info\.json is not there: .*baseline@overlap"):
        list(score_baseline(tmp_path / "nowhere", "overlap", pairs, settings()))


# the stage


@pytest.fixture
def project(tmp_path, rng, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_project(tmp_path, rng, pooling="mean", models=["toy"], baselines=["overlap"])
    set_params(fit={"poolings": []})
    baselines.write("data/baselines/overlap", "overlap", baselines.Result(scores={"dice": rng.random(13)}))
    run_fit()
    run_pool()
    run_score()


def run_score():
    paths = ("pairs/pairs.parquet", "pooled", "unembeddings", "baselines", "scores.parquet")
    stages.score.main(*(Path("data") / path for path in paths))


def test_the_stage_scores_models_then_baselines(project):
    table = pl.read_parquet("data/scores.parquet")
    assert list(dict.fromkeys(table["encoder"])) == ["toy", "overlap"]
    assert len(table) == 13 * 3 + 13


def test_the_stage_hands_on_what_pool_measured_of_the_norms(project):
    norms = vectors.read("data/pooled/toy/vectors.parquet", "pool@toy").norms
    found = scores.read("data/scores.parquet", pairs_format.read_pairs("data/pairs/pairs.parquet")).norms
    assert norms is not None
    assert found == {"toy": norms}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": {"similarities": ["cosine", "cos"]}}, r"similarity is 'cos': did you mean cosine"),
        ({"models": ["toy", "untrained"]}, r"data/pooled/untrained/vectors\.parquet is not there"),
    ],
)
def test_a_stage_that_fails_leaves_the_earlier_scores_as_they_were(project, change, message):
    before = contents("data")
    set_params(**change)
    with pytest.raises(InputError, match=message):
        run_score()
    assert contents("data") == before


def test_a_layer_on_disk_is_scored_like_one_in_memory(tmp_path, monkeypatch, rng):
    """Corrections are fitted, and applied, on a few vectors at a time; rows are written for a few pairs at a time."""
    vectors_of, pairs_of = rng.standard_normal((2, 90, 6)) + 1, rng.integers(0, 90, (2, 70))
    pairs_of[0, -1] = 89  # all sentences are of the pairs
    table = pairs_table(rng.random(70), rng.choice(["train", "test"], 70), *pairs_of)
    path, folder = tmp_path / "v.parquet", tmp_path / "work"
    vectors.write(path, dict(enumerate(vectors_of)), vectors.Info("m", "mean", True))
    chosen = settings(SIMILARITIES, ["none", "centre", "standardise", "all_but_the_top_2", "whitening_3"])
    at_once = pl.concat(score_model(path, "m", table, chosen))
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(vectors, "ROW_GROUP", 16)
    monkeypatch.setattr(run, "NUMBERS_AT_ONCE", 6 * 89)  # of 90 vectors
    monkeypatch.setattr(train_vectors, "NUMBERS_AT_ONCE", 6 * 20)
    monkeypatch.setattr(combinations, "ROWS_AT_ONCE", 32)
    vectors.write(path, dict(enumerate(vectors_of)), vectors.Info("m", "mean", True))
    assert isinstance(run.rows_of(vectors.read(path, "pool@m"), 1), OnDisk)
    parts = list(score_model(path, "m", table, chosen))
    assert {len(part) for part in parts} == {32, 6}
    in_parts = pl.concat(parts)
    assert in_parts.drop("score").equals(at_once.drop("score"))
    assert in_parts["score"].to_numpy() == pytest.approx(at_once["score"].to_numpy(), rel=1e-9, abs=1e-9)
    assert list(folder.iterdir()) == []
