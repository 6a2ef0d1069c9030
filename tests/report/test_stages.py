"""The stages report and poolings: files in, files out."""

import json
from dataclasses import replace

import polars as pl
import pytest

from pipeline.analyse.settings import Correlate
from pipeline.base import settings
from pipeline.base.errors import InputError
from pipeline.base.files import write_json
from pipeline.claims.evidence import relations
from pipeline.claims.study import Scored, opening
from pipeline.formats import pairs, scores, tables
from pipeline.formats.norms import Norms
from pipeline.report.page import page
from pipeline.report.poolings import page as page_of_poolings
from pipeline.report.settings import Report
from stages import poolings, report
from tests.report import making

PARAMS = {
    **{"dataset": "toy", "models": ["m", "n"], "baselines": ["glove"], "pooling": "mean"},
    "correlate": {"resamples": 12345, "confidence": 0.9, "seed": 0, "reference": "overlap dice"},
    "report": {"false_positives": 2},
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(json.dumps(PARAMS))
    return tmp_path


def written(folder, material):
    """The files that the stage report reads."""
    info = material.info | {"graded": False, "splits": {}, "sentences": 0, "components": 0}
    pairs.write(folder / "pairs", material.pairs, material.sentences, info)
    tables.write(folder / "correlations.csv", material.table, tables.CORRELATIONS)
    scores.write(folder / "scores.parquet", making.scores_tables(material), material.scores.norms)
    for name, manifest in material.manifests.items():
        write_json(folder / f"manifests/{name}.json", manifest | {"shards": []})
    for name, found in material.baselines.items():
        write_json(folder / f"baselines/{name}/info.json", found | {"encoder": name, "measures": []})
    return [folder / name for name in ("pairs", "correlations.csv", "scores.parquet", "manifests", "baselines")]


def test_the_stage_report_writes_the_page_and_the_picture(folder, rng):
    material = making.material(rng)
    report.main(*written(folder, material), folder / "r.md", folder / "c.png")
    related = relations(material.manifests, material.baselines)
    scored = Scored(material.scores, material.pairs, material.info, material.table, related)
    material = replace(material, verdicts=opening(scored, settings.section(Correlate)))
    assert (folder / "r.md").read_text() == page(material, making.METHOD, Report(2))
    assert (folder / "c.png").read_bytes().startswith(b"\x89PNG")
    assert not list(folder.glob("*.part"))


def test_the_stage_report_warns_of_a_token_that_swamps_the_mean(folder, rng):
    largest = {"first": [0.1, 1.0], "last": [0.1, 0.0], "other": [0.8, 0.0]}
    norms = {"m": Norms([0, 1], [0.1, 0.98], 0.05, largest, True, ["first", "last", "other"])}
    material = making.material(rng)
    material = replace(material, scores=replace(material.scores, norms=norms))
    report.main(*written(folder, material), folder / "r.md", folder / "c.png")
    assert (
        "**One token swamps the mean at layer 1 of m.** That token, most often the first, holds 98 %"
        in (folder / "r.md").read_text()
    )


def test_the_stage_report_names_a_table_that_is_cut(folder, rng):
    inputs = written(folder, making.material(rng))
    table = folder / "correlations.csv"
    table.write_bytes(table.read_bytes()[: rng.integers(1, table.stat().st_size)].rstrip(b"\n"))
    with pytest.raises(InputError, match=r"correlations\.csv"):
        report.main(*inputs, folder / "r.md", folder / "c.png")


def test_the_stage_poolings_writes_the_page_and_the_picture(folder, rng):
    table, summary = making.poolings(rng, "mn"), making.summary("mn")
    tables.write(folder / "t.csv", table, tables.POOLINGS)
    tables.write(folder / "l.csv", making.curves(rng, table), tables.CURVES)
    tables.write_summary(folder / "s.json", summary)
    poolings.main(folder / "t.csv", folder / "l.csv", folder / "s.json", folder / "p.md", folder / "p.png")
    assert (folder / "p.md").read_text() == page_of_poolings(table, summary, making.METHOD)
    assert (folder / "p.png").read_bytes().startswith(b"\x89PNG")


def test_the_stage_poolings_of_a_study_without_models(folder):
    for name, columns in (("t.csv", tables.POOLINGS), ("l.csv", tables.CURVES)):
        tables.write(folder / name, pl.DataFrame(schema=tables.schema_of(columns)), columns)
    tables.write_summary(folder / "s.json", making.summary(()))
    poolings.main(folder / "t.csv", folder / "l.csv", folder / "s.json", folder / "p.md", folder / "p.png")
    assert "There are no models" in (folder / "p.md").read_text()
    assert (folder / "p.png").read_bytes().startswith(b"\x89PNG")
