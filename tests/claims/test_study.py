"""The whole of it: the paper's own setting with planted figures, and the stage on a small study."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import stages.claims
import stages.geometry
from pipeline.analyse.settings import Correlate
from pipeline.claims.decide import CONTRADICTED, SUPPORTED, UNTESTED, VERDICTS
from pipeline.claims.evidence import relations
from pipeline.claims.judge import MIXED, main_rows, of_models, summary
from pipeline.claims.paper import CLAIMS
from pipeline.claims.study import held_out, main_split, measured, opening, reported, verdicts
from pipeline.formats import beside, claims, efficiency, geometry, tables
from pipeline.formats.tables import schema_of
from tests.claims.making import manifest, row_of, scored
from tests.study import CATALOG, run_all, write_settings

SECTION = Correlate(resamples=1000, confidence=0.95, seed=0)
"""enough for p below .05 after the correction for 24 layers"""
NAMES = ["finch-1b6", "finch-1b6-as-published"]
GPT2 = {"tokenizer": {"kind": "gpt2"}, "bos": None}
SUBSETS = {"train-100": ["train", 100]}


@pytest.fixture
def paper(rng):
    """A study of the names and the shape of the paper's: read with GPT-2's ids, the shallow layer of 24 blocks is the
    best, rho falls with depth, and GloVe is above all of it. Read as intended, all of that is the other way.
    """
    falling = [0.1, 0.3, 1.5, *np.linspace(1.1, 0.1, 22)]
    signals = {
        (name, layer): signal
        for name, curve in zip(NAMES, (falling[::-1], falling))
        for layer, signal in enumerate(curve)
    }
    signals[NAMES[0], 0] = 0.1  # layer 0 is judged by no claim
    noise = {key: key[0] for key in signals}
    signals |= {("glove-6b-50d", None): 6.0, ("overlap", None): 4.0}
    manifests = {NAMES[0]: manifest(), NAMES[1]: manifest(tokens=GPT2, ids="j", passed=False)}
    infos = {"glove-6b-50d": {"coverage": 0.98, "measures": []}, "overlap": {"measures": ["dice"]}}
    related = vars(relations(manifests, infos))
    return scored(rng, signals, {"train": 150, "validation": 408}, related, noise, SUBSETS, SECTION)


@pytest.fixture
def empty(tmp_path):
    """POOLINGS, PROBES and what lies beside, without rows."""
    tables_of = [pl.DataFrame(schema=schema_of(columns)) for columns in (tables.POOLINGS, tables.PROBES)]
    return *tables_of, measured(tmp_path, {"pairs": "p", "encoders": dict.fromkeys(NAMES, "k")})


def test_the_papers_own_setting_is_judged_by_the_same_command(paper, empty):
    table, conditions = verdicts(paper, *empty, SECTION)
    found = of_models(table, "validation")
    wanted = {"C1": (CONTRADICTED, SUPPORTED), "C2": (CONTRADICTED, SUPPORTED), "C3": (SUPPORTED, SUPPORTED)}
    for claim, of_each in wanted.items():
        assert found[claim] == dict(zip(NAMES, of_each)), claim
    for claim in ("C4", "C5", "C6", "C7", "Q1", "Q2", "Q3", "N1"):
        assert found[claim] == dict.fromkeys(NAMES, UNTESTED), claim
    row = row_of(table, "shallow_minus_others", model=NAMES[1], split="validation")
    assert (row["layer"], row["compared"], row["n"]) == (2, 23, 408)
    row = row_of(table, "slope_of_the_first_half", model=NAMES[1], split="validation")
    assert (row["layer"], row["other_layer"]) == (12, 2)
    assert row_of(table, "layers_minus_vectors", model=NAMES[0], split="validation")["against"] == "glove-6b-50d"
    assert set(conditions["condition"]) == {"tokenizer"}
    assert set(conditions["split"]) == {"validation"}
    assert len(conditions) == 25
    deep = conditions.filter(layer=22).row(0, named=True)
    assert (deep["model"], deep["against"]) == (NAMES[1], NAMES[0])
    assert deep["difference_high"] < 0


def test_claims_without_a_choice_are_also_judged_on_parts_of_train(paper, empty):
    assert (reported(paper), main_split(reported(paper), paper)) == (["validation", "train-100"], "validation")
    assert held_out(reported(paper), paper) == ["validation"]
    table, _ = verdicts(paper, *empty, SECTION)
    on_train = table.filter(split="train-100")
    assert set(on_train["claim"]) == {"C1", "C2", "C3"}


def test_every_row_has_a_verdict_and_what_was_not_tested_a_command(paper, empty):
    table, _ = verdicts(paper, *empty, SECTION)
    assert set(table["verdict"]) <= set(VERDICTS)
    untested = table.filter(verdict=UNTESTED)
    assert untested.select("why", "command").null_count().sum_horizontal()[0] == 0
    assert table.filter(pl.col("verdict") != UNTESTED)["value"].is_finite().all()
    assert table["claim"].unique(maintain_order=True).to_list() == list(CLAIMS)
    assert table.columns == list(claims.CLAIMS)


def test_the_opening_has_the_verdicts_of_the_whole(paper, empty):
    table, _ = verdicts(paper, *empty, SECTION)
    first = opening(paper, SECTION)
    assert set(first["split"]) == {"validation"}
    same = table.filter(pl.col("split") == "validation", pl.col("measure").is_in(first["measure"].unique().to_list()))
    assert first.equals(same)


def test_a_claim_with_several_measures(paper, empty):
    table, _ = verdicts(paper, *empty, SECTION)

    def with_entropies(*found):
        base = (
            main_rows(table, "validation")
            .filter(claim="C6", model=NAMES[0])
            .with_columns(split=pl.lit(None, pl.String))
        )
        return pl.concat([base.with_columns(verdict=pl.lit(one)) for one in found])

    for found, wanted in (
        ((SUPPORTED, SUPPORTED, UNTESTED), SUPPORTED),
        ((SUPPORTED, CONTRADICTED), MIXED),
        ((UNTESTED, UNTESTED), UNTESTED),
    ):
        assert of_models(with_entropies(*found), "validation")["C6"] == {NAMES[0]: wanted}
    whole = summary(table, "toy", "validation")
    assert whole["claims"]["C1"]["verdicts"] == of_models(table, "validation")["C1"]
    assert json.loads(json.dumps(whole)) == whole


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A small study of the sample, after all its stages."""
    folder = tmp_path_factory.mktemp("study")
    vectors = {"kind": "vectors", "path": str(folder / "words.txt")}
    (folder / "words.txt").write_text("the 1 0 0\na 0 1 0\nwas 0 0 1\n")
    write_settings(
        folder,
        CATALOG | {"baselines": CATALOG["baselines"] | {"words": vectors}},
        models=["tiny", "other"],
        baselines=["overlap", "words"],
    )
    (folder / "data/beside").mkdir(parents=True)
    run_all(folder)
    return folder


def test_the_stage_on_a_small_study(study):
    table = claims.read(study / "results/claims.csv")
    assert set(table["model"]) == {"tiny", "other"}
    assert set(table["split"].drop_nulls()) == {"validation", "test"}
    assert set(table["claim"]) == set(CLAIMS)
    found = claims.read_summary(study / "results/claims.json")
    assert (found["dataset"], found["split"]) == ("sample", "test")
    assert found["claims"]["C6"]["verdicts"] == {"tiny": UNTESTED, "other": UNTESTED}
    assert claims.read_conditions(study / "results/conditions.csv").is_empty()
    page = (study / "results/claims.md").read_text()
    report = (study / "results/report.md").read_text()
    assert "## C1: The shallow layer is the best" in page
    [line] = [line for line in report.splitlines() if line.startswith("- Rho falls with depth (C2): ")]
    assert line.removeprefix("- Rho falls with depth (C2): ")[:-1] in page


def test_what_was_measured_beside_is_used_while_it_is_of_this_study(study, monkeypatch):
    monkeypatch.chdir(study)
    copy = Path("data/beside/geometry.parquet")
    stages.geometry.main(Path("data"), Path("data/geometry.parquet"), copy)

    def judge():
        names = ["pairs", "scores.parquet", "manifests", "baselines"]
        inputs = [Path("data") / name for name in names]
        inputs += [Path("results") / f"{name}.csv" for name in ("correlations", "poolings", "probes")]
        outs = [Path("again") / name for name in ("claims.csv", "conditions.csv", "claims.json", "claims.md")]
        stages.claims.main(*inputs, Path("data/beside"), *outs)
        return claims.read(outs[0]).filter(claim="C7")

    assert UNTESTED not in judge().filter(measure="few_carriers")["verdict"].to_list()
    manifest_file = Path("data/manifests/tiny.json")
    intact = manifest_file.read_text()
    manifest_file.write_text(json.dumps(json.loads(intact) | {"key": "another"}))
    found = judge()
    assert set(found.filter(model="tiny")["why"]) == {"it has changed since it was measured"}
    assert found.filter(measure="few_carriers")["model"].to_list() == ["other"]
    assert "dvc --cd geometry repro" in found.filter(model="tiny")["command"][0]
    manifest_file.write_text(intact)
    copy.unlink()
    assert set(judge()["why"]) == {"nobody has measured it"}


def test_the_tables_that_lie_beside_are_read(tmp_path):
    now = {"pairs": "p", "encoders": {"m": "k"}}
    cost = pl.DataFrame(schema=schema_of(efficiency.EFFICIENCY))
    efficiency.write(tmp_path / "efficiency.csv", cost)
    beside.finish(tmp_path / "efficiency.csv", now)
    row = {"encoder": "m", "level": "tokens", "measure": "x", "layer": 0, "value": 1.0, "sentences": 9, "dim": 2}
    shapes = pl.DataFrame([row], schema=geometry.polars_schema(geometry.MEASURED))
    facts = {"measures": {"x": {"title": "X", "claim": "C6"}}, "left_out": {}, "confidence": 0.9, "resamples": 3}
    geometry.write(tmp_path / "geometry.parquet", shapes, facts)
    found = measured(tmp_path, now)
    assert (dict(found.without_cost), dict(found.without_shape)) == ({}, {"m": "the last measurement did not end"})
    assert found.facts["confidence"] == 0.9
