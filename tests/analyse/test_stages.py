"""The stages correlate and compare: files in, files out."""

import json

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from pipeline.analyse import compare as comparing
from pipeline.analyse.correlate import correlate as correlations_of
from pipeline.analyse.correlate import metrics
from pipeline.analyse.curves import by_layer
from pipeline.analyse.infer import infer
from pipeline.analyse.settings import Correlate
from pipeline.base.errors import InputError
from pipeline.base.files import write_json
from pipeline.formats import attention, pairs, parquet, scores, sweeps, tables, tokens
from pipeline.formats.tables import CORRELATIONS, CURVES, POOLINGS
from pipeline.stats.folds import folds
from stages import compare, correlate
from tests.analyse.making import ATTENTION, curve, keys_of, pairs_of, scores_of, scores_table, signals_and_noise, swept
from tests.helpers import contents

SECTION = {"resamples": 100, "confidence": 0.9, "seed": 3, "reference": "overlap dice"}
ROWS = [*curve("mean"), *ATTENTION]
FIT = {
    "settings": {"runs": 2, "seed": 0, "shuffle_labels": False},
    "pairs": 30,
    "layers": [0, 1],
    "poolings": {"attention": {"kept": [1, 1], "epoch": [1, 2], "rho_at_start": [0, 0], "rho_held_out": [1, 1]}},
}
INFO = {"dataset": "toy", "graded": False, "splits": {}, "shared": {}, "sentences": 100, "components": 9}
INFO |= {"source": None, "control": None}


class Project:
    """A folder with params.yaml and the pairs of a study."""

    def __init__(self, rng, folder, models=()):
        self.folder, self.rng = folder, rng
        self.pairs = pairs_of(rng, {"train": 30, "test": 20})
        params = {"dataset": "toy", "models": list(models), "baselines": [], "pooling": "mean", "correlate": SECTION}
        (folder / "params.yaml").write_text(json.dumps(params))
        sentences = pl.DataFrame({"sentence_id": range(100), "text": [f"sentence {i}" for i in range(100)]})
        pairs.write(folder / "pairs", self.pairs, sentences, INFO | {"subsets": {"test-9": ["test", 9]}})
        for name in ("sweeps", "fits", "tokens"):
            (folder / name).mkdir()

    def write_scores(self):
        """The scores of one model with two layers and of a baseline."""
        keys = [("m", "mean", 0, "cosine"), ("m", "mean", 1, "cosine"), ("overlap", None, None, "dice")]
        table = scores_table(self.pairs, dict(zip(keys, signals_and_noise(self.rng, self.pairs, [1, 1, 1]))))
        scores.write(self.folder / "scores.parquet", [table])
        return table

    def correlate(self):
        inputs = [self.folder / name for name in ("pairs/pairs.parquet", "pairs/info.json", "scores.parquet")]
        correlate.main(*inputs, self.folder / "out/c.csv", self.folder / "out/m.json")

    def write_sweep(self, model, rows, left_out=None):
        """A sweep, a fit, tokens and the weights of attention -> the scores of the sweep."""
        values = signals_and_noise(self.rng, self.pairs, [1] * len(rows))
        (self.folder / "sweeps" / model).mkdir()
        writer = sweeps.Writer(self.folder / "sweeps" / model / "scores.parquet", model, len(self.pairs))
        for key, row in zip(keys_of(rows, model).iter_rows(named=True), values):
            columns = [
                pl.lit(value, kind).alias(name) for (name, value), kind in zip(key.items(), keys_of(rows).dtypes)
            ]
            table = self.pairs.select("pair_id", "split", "label", *columns)
            writer.write(table.with_columns(pl.Series("score", row)))
        writer.close(left_out or {})
        write_json(self.folder / "fits" / model / "fit.json", FIT | {"model": model} if rows else nothing(model))
        lengths = self.rng.integers(1, 5, 100)
        ids = [self.rng.integers(0, 9, length).astype(np.int32) for length in lengths]
        words = {i: f"word{i}" for i in range(9)}
        written = tokens.Tokens(model, np.arange(100), ids, words, np.zeros(100, bool), {})
        tokens.write(self.folder / "tokens" / f"{model}.parquet", written)
        columns = [np.repeat(np.arange(100), lengths), np.concatenate([np.arange(length) for length in lengths])]
        weights = [self.rng.random(lengths.sum()) for _ in range(2)]
        schema = attention.schema([0, 1])
        table = pa.table(
            [pa.array(column, field.type) for column, field in zip(columns + weights, schema)], schema=schema
        )
        parquet.write(self.folder / "sweeps" / model / "attention.parquet", table, {"encoder": model})
        return values

    def compare(self):
        inputs = [self.folder / name for name in ("pairs", "sweeps", "fits", "tokens")]
        compare.main(*inputs, *(self.folder / "out" / name for name in ("p.csv", "l.csv", "s.json")))


def nothing(model):
    return {"model": model, "nothing": "it is a control", "control": True}


@pytest.fixture
def start(rng, tmp_path, monkeypatch):
    """Models -> a project with them."""
    monkeypatch.chdir(tmp_path)
    return lambda *models: Project(rng, tmp_path, models)


def test_correlate_writes_what_is_inferred_and_the_metrics(start):
    project = start()
    table, section = project.write_scores(), Correlate(**SECTION)
    project.correlate()
    correlations = correlations_of(scores_of(table), project.pairs, {"test-9": ["test", 9]}, section)
    expected = infer(correlations, section)
    assert tables.read(project.folder / "out/c.csv", CORRELATIONS, "correlate").equals(expected)
    assert json.loads((project.folder / "out/m.json").read_text()) == metrics(expected, "toy", "train", "test")


def test_correlate_leaves_the_earlier_table_as_it_was_where_a_score_is_bad(start):
    project = start()
    table = project.write_scores()
    project.correlate()
    before = contents(project.folder / "out")
    assert len(before) == 2
    for bad in (np.nan, np.inf, None):
        score = pl.when(pl.int_range(pl.len()) == 5).then(pl.lit(bad, pl.Float64)).otherwise("score").alias("score")
        scores.write(project.folder / "scores.parquet", [table.with_columns(score)])
        with pytest.raises(InputError, match=r"scores\.parquet has a score that is NaN, infinite or missing"):
            project.correlate()
        assert contents(project.folder / "out") == before


def test_compare_writes_the_tables_of_all_models_and_a_summary(start):
    project = start("m", "n")
    values = {model: project.write_sweep(model, ROWS, {"last": "needs every token"}) for model in ("m", "n")}
    project.compare()
    fold = folds(project.pairs["component"].to_numpy()[:30], 2, 0)
    poolings = tables.read(project.folder / "out/p.csv", POOLINGS, "compare")
    layers = tables.read(project.folder / "out/l.csv", CURVES, "compare")
    for model in ("m", "n"):
        sweep, subsets = swept(ROWS, values[model]), {"test-9": ["test", 9]}
        expected = comparing.compare(sweep, project.pairs, subsets, Correlate(**SECTION), fold)
        assert poolings.filter(encoder=model).equals(expected.with_columns(encoder=pl.lit(model)))
        expected = by_layer(sweep, project.pairs, subsets)
        assert layers.filter(encoder=model).equals(expected.with_columns(encoder=pl.lit(model)))
    summary = tables.read_summary(project.folder / "out/s.json")
    assert (summary["dataset"], summary["chosen_on"]) == ("toy", "train")
    assert summary["subsets"] == {"test-9": ["test", 9]}
    for model, about in summary["models"].items():
        layer = poolings.filter(encoder=model, family="pooling", pooling="attention")["layer"][0]
        assert about["left_out"] == {"last": "needs every token"}
        assert [(row["pooling"], row["layer"]) for row in about["learned"]["poolings"]] == [("attention", layer)]
        assert (about["attention"]["layer"], about["attention"]["flat"]) == (layer, False)


def test_compare_leaves_a_model_without_a_sweep_out_of_its_tables_and_says_why(start):
    project = start("m", "control")
    project.write_sweep("m", curve("mean"))
    project.write_sweep("control", [], {"everything": "nobody trained it"})
    project.compare()
    assert set(tables.read(project.folder / "out/p.csv", POOLINGS, "compare")["encoder"]) == {"m"}
    assert set(tables.read(project.folder / "out/l.csv", CURVES, "compare")["encoder"]) == {"m"}
    models = tables.read_summary(project.folder / "out/s.json")["models"]
    assert models["control"] == {
        "left_out": {"everything": "nobody trained it"},
        "learned": {"nothing": "it is a control"},
        "attention": None,
        "loes": [],
    }
    assert models["m"]["attention"] is None  # attention was not swept


def test_compare_of_baselines_alone_has_empty_tables(start):
    """`models` is empty: every stage before made nothing, and `dvc repro` goes on."""
    project = start()
    project.compare()
    assert (project.folder / "out/p.csv").read_text().strip() == ",".join(POOLINGS)
    assert (project.folder / "out/l.csv").read_text().strip() == ",".join(CURVES)
    assert tables.read_summary(project.folder / "out/s.json")["models"] == {}


def test_compare_refuses_a_fit_of_other_runs(start):
    project = start("m")
    project.write_sweep("m", ROWS)
    fit = FIT | {"model": "m", "settings": FIT["settings"] | {"runs": 3}}
    write_json(project.folder / "fits/m/fit.json", fit)
    with pytest.raises(InputError, match="2 runs were swept, but 3 fitted"):
        project.compare()
    assert not (project.folder / "out").exists()
