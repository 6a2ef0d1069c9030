"""Baselines of the catalogue through the stage, and what they are worth on real pairs."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml
from scipy.stats import spearmanr

import stages.baseline
from pipeline.base.errors import InputError
from pipeline.baselines.overlap import MEASURES, dice
from pipeline.baselines.run import BASELINES, run
from pipeline.catalog.entries import BASELINE_KINDS, OVERLAP_MEASURES, Baseline, Dataset
from pipeline.formats import baselines, pairs, vectors
from pipeline.pool.names import Correction
from pipeline.score.run import score_baseline
from pipeline.score.settings import Score
from pipeline.score.similarities import Similarity
from pipeline.text.pairs import prepare
from pipeline.text.settings import Prepare
from tests.helpers import contents, pairs_table
from tests.study import write_settings

TEXTS = ["a cat", "a dog", "a bird", "a dog sat"]
PAIRS = pairs_table([1, 0], "train")


def test_the_baselines_are_those_of_the_catalogue():
    assert list(BASELINES) == list(BASELINE_KINDS)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project folder, the current one, with two baselines, and pairs and sentences."""
    monkeypatch.chdir(tmp_path)
    write_settings(tmp_path, {"baselines": {}})
    write_catalog(overlap={"kind": "overlap"}, random={"kind": "random", "dim": 8})
    pairs.write("data/pairs", PAIRS, pl.DataFrame({"sentence_id": range(4), "text": TEXTS}), {})
    return tmp_path


def write_catalog(**entries):
    Path("catalog.yaml").write_text(yaml.safe_dump({"baselines": entries}))


def run_stage(name):
    folder = Path("data/pairs")
    stages.baseline.main(name, folder / "pairs.parquet", folder / "sentences.parquet", Path("data/baselines") / name)


def test_the_stage_writes_vectors_that_are_read_back(project):
    run_stage("random")
    expected = run(Baseline(kind="random", dim=8), "random", PAIRS, pl.DataFrame({"text": TEXTS}))
    written = vectors.read("data/baselines/random/vectors.parquet", "baseline@random")
    assert written.info == vectors.Info(encoder="random", pooling="mean", layers=False)
    assert written.layers == [0]
    assert np.array_equal(written.layer(0), expected.vectors)
    info = baselines.read_info("data/baselines/random", "random")
    assert info == {"encoder": "random", "measures": [], "dim": 8, "seed": 0}
    assert not Path("data/baselines/random/scores.parquet").exists()


def test_the_stage_writes_scores_that_are_read_back(project):
    run_stage("overlap")
    scores = baselines.read_scores("data/baselines/overlap", "overlap", pairs=2)
    assert scores.columns == ["dice", "jaccard", "char4", "tfidf"]
    assert scores["dice"].to_list() == [dice("a cat", "a dog"), dice("a bird", "a dog sat")]
    assert not Path("data/baselines/overlap/vectors.parquet").exists()


def test_written_vectors_are_scored_like_those_of_a_model_without_layers(project):
    table = pairs_table([1, 0], first=[2, 0], second=[2, 3])
    pairs.write("data/pairs", table, pl.DataFrame({"sentence_id": range(4), "text": TEXTS}), {})
    run_stage("random")
    settings = Score([Similarity.parse("cosine")], [Correction.parse("none")])
    rows = pl.concat(score_baseline("data/baselines/random", "random", table, settings))
    assert rows["layer"].to_list() == [None, None]
    assert rows["score"][0] == pytest.approx(1, abs=1e-12)  # a sentence with itself
    assert rows["score"][1] < 1


def test_an_unknown_kind_of_baseline_is_refused_with_the_known_ones_and_the_earlier_files_stay(project):
    run_stage("random")
    before = contents("data")
    write_catalog(random={"kind": "randm"})
    message = (
        r"baselines\.random of catalog\.yaml: kind is 'randm': did you mean random\? Expected one of overlap, random"
    )
    with pytest.raises(InputError, match=message):
        run_stage("random")
    assert contents("data") == before


@pytest.mark.parametrize(("field", "value", "low"), [("dim", 0, 1), ("dim", -1, 1), ("seed", -1, 0)])
def test_random_vectors_out_of_range_are_refused(field, value, low):
    with pytest.raises(InputError, match=rf"{field} is {value}, expected at least {low}"):
        Baseline(kind="random", **{field: value})


@pytest.fixture(scope="module")
def mrpc(testdata):
    """GLUE's MRPC, prepared, and the averaged GloVe vectors of its sentences."""
    columns = {"sentence1": "glue_sentence1", "sentence2": "glue_sentence2"}
    prepared = prepare(Dataset(path=str(testdata / "mrpc.parquet"), columns=columns), "mrpc", Prepare(limit=None))
    entry = Baseline(kind="vectors", path=str(testdata / "glove.6B.50d.trimmed.txt"))
    return prepared, run(entry, "glove", prepared.pairs, prepared.sentences)


def correlation(scores, pairs, split, rows):
    """Spearman's rho over the first so many pairs of a split."""
    chosen = np.flatnonzero(pairs["split"] == split)[:rows]
    assert len(chosen) == rows
    return spearmanr(scores[chosen], pairs["label"].to_numpy()[chosen]).statistic


@pytest.mark.parametrize(("split", "rows", "expected"), [("validation", 408, 0.4326), ("train", 1000, 0.3876)])
def test_the_correlation_of_glove_on_mrpc_is_the_known_one(mrpc, split, rows, expected):
    prepared, result = mrpc
    unit = result.vectors.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    cosines = np.sum(unit[prepared.pairs["sentence1_id"]] * unit[prepared.pairs["sentence2_id"]], axis=1)
    assert round(correlation(cosines, prepared.pairs, split, rows), 4) == expected


def test_the_correlation_of_dice_on_mrpc_is_the_known_one(mrpc):
    prepared, _ = mrpc
    texts = prepared.sentences["text"].to_list()
    ids = prepared.pairs.select("sentence1_id", "sentence2_id").iter_rows()
    scores = np.array([dice(texts[i], texts[j]) for i, j in ids])
    assert round(correlation(scores, prepared.pairs, "validation", 408), 4) == 0.4458


def test_glove_covers_almost_all_words_of_mrpc(mrpc):
    info = mrpc[1].info
    assert info["dim"] == 50
    assert 0.95 < info["coverage"] < 1
    assert info["sentences_without_a_known_word"] == 0


def test_the_names_of_the_overlap_measures_are_those_that_the_check_knows():
    assert [*MEASURES, "tfidf"] == list(OVERLAP_MEASURES)
