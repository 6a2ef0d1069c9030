"""All measures of a project, from the files that the earlier stages wrote, and the page that comes of them."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

import stages.geometry
import stages.relate
from pipeline.base.errors import InputError
from pipeline.formats import geometry, pairs, tables
from pipeline.geometry import run
from pipeline.geometry.between import BETWEEN
from pipeline.geometry.sentences import SENTENCES
from pipeline.geometry.tokens import TOKENS
from tests.geometry.test_join import correlations
from tests.pool.dumps import MODELS, draw_states, run_fit, run_pool, write_project, write_statistics

SECTION = {"sentences": 26, "traced": 20, "resamples": 20, "confidence": 0.95, "seed": 0}
LAYERS = 3


@pytest.fixture
def project(rng, tmp_path, monkeypatch):
    """The stages before it have run, for a model and a control of three layers and 26 sentences."""
    write_project(tmp_path, rng, geometry=SECTION)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pool(pooling="mean"):
    params = yaml.safe_load(Path("params.yaml").read_text())
    Path("params.yaml").write_text(yaml.safe_dump(params | {"pooling": pooling}))
    for model in MODELS:
        run_fit(model)
        run_pool(model)


def measure():
    stages.geometry.main(Path("data"), Path("data/geometry.parquet"), Path("data/beside/geometry.parquet"))
    return geometry.read("data/geometry.parquet")


def test_every_measure_of_every_layer_is_there_and_in_its_interval(project):
    pool()
    table, facts = measure()
    assert facts["left_out"] == {"toy": {}, "untrained": {}}
    assert list(facts["measures"]) == [*SENTENCES, *BETWEEN, *TOKENS]
    one_layer = table.filter(pl.col("other").is_null())
    assert one_layer.group_by("encoder", "measure").len()["len"].unique().to_list() == [LAYERS]
    assert set(one_layer["measure"]) == {*SENTENCES, *TOKENS}
    two_layers = table.filter(pl.col("other").is_not_null())
    assert set(two_layers["measure"]) == set(BETWEEN)
    assert len(two_layers) == len(MODELS) * len(BETWEEN) * LAYERS * (LAYERS - 1) // 2
    assert table["value"].null_count() == 0
    assert set(table.filter(pl.col("low").is_null())["measure"]) <= {"intrinsic_dimension"}  # of halves with few
    assert table.filter((pl.col("low") > pl.col("value")) | (pl.col("value") > pl.col("high"))).is_empty()
    assert set(table["dim"]) == {6}
    assert table.filter(measure="curvature")["sentences"].max() <= 20
    assert set(table.filter(measure="norm")["sentences"]) == {26}


def test_the_same_seed_gives_the_same_table_and_fewer_sentences_another(project):
    pool()
    first, _ = measure()
    assert measure()[0].equals(first)
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["geometry"] |= {"sentences": 20}
    Path("params.yaml").write_text(yaml.safe_dump(params))
    fewer = measure()[0]
    assert set(fewer.filter(measure="norm")["sentences"]) == {20}
    assert not fewer["value"].equals(first["value"])


def test_statistics_give_what_they_can_and_the_rest_says_why(project, rng, monkeypatch, capsys):
    from pipeline.formats import dumps

    pool()
    drawn = draw_states(rng, sentences=26, dim=6, longest=8)
    kept = write_statistics(project / "statistics", drawn)
    monkeypatch.setattr(dumps, "read", lambda folder, manifest: kept)
    table, facts = measure()
    of_tokens = set(table.filter(level="tokens")["measure"])
    assert of_tokens == {"token_norm", "between_within", "signal_to_noise"}
    assert set(facts["left_out"]["toy"]) == set(TOKENS) - of_tokens
    assert "toy: token_top_share, token_cosine" in capsys.readouterr().err
    assert set(SENTENCES) <= set(table["measure"])


def test_a_mix_of_layers_has_no_vectors_of_one(project):
    pool("first_last")
    table, facts = measure()
    assert set(table["measure"]) == set(TOKENS)
    assert set(facts["left_out"]["toy"]) == {*SENTENCES, *BETWEEN}
    assert facts["left_out"]["toy"]["norm"] == "pooling first_last makes one vector of several layers"


def relate(rho):
    tables.write("results.csv", rho, tables.CORRELATIONS)
    info = {
        "dataset": "d",
        "source": None,
        "control": None,
        "graded": False,
        "splits": {},
        "shared": {},
        "sentences": 26,
        "components": 13,
    }
    table = pairs.read_pairs("data/pairs/pairs.parquet")
    sentences = pairs.read_sentences("data/pairs/sentences.parquet", table)
    pairs.write("data/pairs", table, sentences, info | {"subsets": {}})
    stages.relate.main(
        Path("data/geometry.parquet"), Path("results.csv"), Path("data/pairs/info.json"), Path("results")
    )


def test_the_page_and_pictures_are_written(project):
    pool()
    measure()
    relate(pl.concat([correlations(model, {0: 0.1, 1: 0.3, 2: 0.2}) for model in MODELS]))
    joined, facts = geometry.read("results/geometry.parquet", geometry.JOINED)
    assert joined.filter(encoder="toy", layer=1)["rho"].unique().to_list() == [0.3]
    assert list(facts["measures"]) == [*SENTENCES, *BETWEEN, *TOKENS]
    text = Path("results/geometry.md").read_text()
    assert "**toy**: nothing; too few layers have a rho" in text
    assert "26 distinct sentences" in text
    assert len(tables.read("results/geometry.csv", geometry.WITH_RHO, "geometry")) == 2 * (24)
    for name in ("geometry.png", "geometry-layers.png"):
        assert Path("results", name).read_bytes().startswith(b"\x89PNG")


def test_few_sentences_are_refused():
    inputs = run.Inputs("toy", None, None, None, np.arange(19))
    with pytest.raises(InputError, match="needs at least 20 distinct sentences, but the pairs have 19"):
        run.measure(inputs, None)


def test_components_of_sentences():
    table = pl.DataFrame({"sentence1_id": [0, 3], "sentence2_id": [1, 2], "component": [7, 8]})
    assert run.components_of(table).tolist() == [7, 7, 8, 8]


def test_states_of_other_sentences_are_refused(project):
    pool()
    table = pairs.read_pairs("data/pairs/pairs.parquet")
    more = pl.concat(
        [table, table[-1:].with_columns(pair_id=pl.lit(13), sentence2_id=pl.lit(26))], how="vertical_relaxed"
    )
    sentences = pl.DataFrame({"sentence_id": np.arange(27), "text": [f"s {i}" for i in range(27)]})
    pairs.write("data/pairs", more, sentences, {"subsets": {}})
    with pytest.raises(InputError, match="holds the states of 26 sentences, expected sentences 0 to 26"):
        measure()
