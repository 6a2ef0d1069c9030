"""cost.md and cost.png: every encoder beside its rho, and no cell that a reader would stumble over."""

import re

import polars as pl
import pytest

from pipeline.base.files import write_json
from pipeline.formats import efficiency, tables
from pipeline.formats.tables import schema_of
from pipeline.report import cost_picture, cost_rows
from pipeline.report.cost import page
from pipeline.report.numbers import significant
from stages import cost
from tests.report import making

ENVIRONMENT = {
    **{"cpu": "A_CPU", "cores": 2, "quota": None, "threads": 1, "gpu": None, "versions": {"python": "3.11"}},
    **{"date": "2026-01-02", "load_before": None, "load_after": None, "pairs": 32, "repeats": 5, "interleaved": True},
}


def measured(rng, correlations, layers=True):
    """EFFICIENCY of all encoders of a table of CORRELATIONS; the deeper the slower, and without layers quick."""
    rows = []
    for key in correlations.select(cost_rows.KEYS).unique(maintain_order=True).iter_rows(named=True):
        for size, quicker in ((1, 1), (8, 2)):
            row = dict.fromkeys(efficiency.EFFICIENCY) | key | {"name": "x", "batch_size": size, "kind": "k"}
            ms = (0.01 if key["layer"] is None else 10 + 10 * key["layer"]) * rng.uniform(1, 1.5) / quicker
            for name in ("ms", "encoding_ms", "cpu_ms"):
                row |= dict(zip((name, f"{name}_low", f"{name}_high"), (ms, ms * 0.9, ms * 1.2)))
            rows.append(row | {"parameters": 12, "disk_bytes": 0, "peak_bytes": 7 << 20, "own_bytes": 3 << 20})
    return pl.DataFrame(rows, schema=schema_of(efficiency.EFFICIENCY))


def failed(name):
    row = dict.fromkeys(efficiency.EFFICIENCY) | {"name": name, "encoder": name, "error": "no | such <file>"}
    return pl.DataFrame([row], schema=schema_of(efficiency.EFFICIENCY))


@pytest.fixture
def correlations(rng):
    return making.correlations(rng)


def check_text(text):
    assert re.findall(r"None|nan|\bnull\b|[{}]", text) == []
    rows = [line.count(" | ") for line in text.splitlines() if line.startswith("| ")]
    assert len(set(rows)) <= 1
    assert len(rows) <= 12


def test_a_row_has_the_cost_of_one_pair_and_of_the_best_batch(rng, correlations):
    table = measured(rng, correlations)
    rows = cost_rows.rows(table, correlations, "test")
    assert len(rows) == len(making.ENCODERS)
    for row in rows.iter_rows(named=True):
        same = table.filter(pl.all_horizontal(pl.col(key).eq_missing(row[key]) for key in cost_rows.KEYS))
        assert row["ms"] == same.filter(batch_size=1)["ms"].item()
        assert row["best_ms"] == same.filter(batch_size=8)["ms"].item()
        [rho] = correlations.filter(
            pl.all_horizontal(pl.col(key).eq_missing(row[key]) for key in cost_rows.KEYS), split="test"
        )["spearman"]
        assert row["spearman"] == rho


def test_the_page_shows_the_front_the_table_what_failed_and_what_has_no_rho(rng, correlations):
    table = measured(rng, correlations)
    no_rho = table.filter(encoder="words").with_columns(encoder=pl.lit("stranger"))
    text = page(pl.concat([table, failed("br_oken"), no_rho]), correlations, ENVIRONMENT, "test")
    check_text(text)
    assert r"- br\_oken: no \| such \<file\>" in text
    assert "stranger: results/correlations" in text
    rows = cost_rows.rows(table, correlations, "test")
    base = rows.filter(pl.col("layer").is_null()).sort("spearman")["ms"][-1]
    for name in "mn":
        times = rows.filter(name=name, layer=1)["ms"].item() / base
        assert f"{name}, layer 1: {significant(times)}" in text
    front = cost_rows.rows(table, correlations, "test").filter("front")
    assert len(re.findall(r"^- \*\*", text, re.MULTILINE)) == len(front)
    chosen = cost_rows.rows(table, correlations, "test").filter("selected")
    assert len(re.findall(r"^\| (?!---|encoder)", text, re.MULTILINE)) == len(chosen)
    assert r"A\_CPU, 2 cores, torch on 1 thread, no GPU" in text


def test_ten_rows_are_shown_of_many_encoders(rng):
    many = making.correlations(rng, [(f"e{i}", "mean", "none", None, "cosine") for i in range(13)], reference=None)
    text = page(measured(rng, many), many, ENVIRONMENT | {"load_before": 1.25, "load_after": 0.5}, "test")
    check_text(text)
    assert "3 more are in efficiency.csv" in text
    assert "The load was 1.2 before and 0.5 after" in text


def test_nothing_measured_and_nothing_correlated_are_said(rng, correlations):
    for table in (failed("a"), measured(rng, correlations).with_columns(encoder=pl.lit("other"))):
        text = page(table, correlations, ENVIRONMENT, "test")
        check_text(text)
        assert "No encoder has both a cost and a rho." in text
        cost_picture.draw(cost_rows.rows(table, correlations, "test"), "test")


def test_the_picture_has_a_point_for_each_row_and_the_front(rng, correlations):
    rows = cost_rows.rows(measured(rng, correlations), correlations, "test")
    [axis] = cost_picture.draw(rows, "test").axes
    points = [line for line in axis.lines if line.get_marker() in ("o", "s") and line.get_markersize() < 5]
    assert sum(len(line.get_xdata()) for line in points) == len(rows)
    [front] = [line for line in axis.lines if line.get_label() == "Pareto front"]
    assert front.get_xdata()[:-1].tolist() == rows.filter("front")["ms"].sort().to_list()
    assert axis.get_xscale() == "log"
    names = {text.get_text() for text in axis.texts}
    assert {"overlap dice", "words", "0", "2"} <= names


def test_corrected_vectors_are_left_out(rng):
    encoders = [("m", "mean", correction, layer, "cosine") for correction in ("none", "centre") for layer in (0, 1)]
    table = making.correlations(rng, encoders, reference=None)
    assert set(cost_rows.rows(measured(rng, table), table, "test")["name"]) == {"m"}


def test_the_stage_writes_the_page_and_the_picture(tmp_path, rng, correlations):
    table = measured(rng, correlations)
    efficiency.write(tmp_path / "e.csv", table)
    efficiency.write_environment(tmp_path / "e.json", ENVIRONMENT)
    tables.write(tmp_path / "c.csv", correlations, tables.CORRELATIONS)
    info = {"dataset": "toy", "graded": False, "splits": {}, "shared": {}, "subsets": making.SUBSETS}
    write_json(tmp_path / "i.json", info | {"sentences": 0, "components": 0, "source": None, "control": None})
    files = [tmp_path / name for name in ("e.csv", "e.json", "c.csv", "i.json", "cost.md", "cost.png")]
    cost.main(*files)
    assert files[-2].read_text() == page(table, correlations, ENVIRONMENT, "test")
    assert files[-1].read_bytes().startswith(b"\x89PNG")
