"""`drillcore run` on pairs and a model of one's own, through DVC, once; then what reads its results."""

import json
import re
import shutil

import numpy as np
import polars as pl
import pytest
import yaml

from tests.command.conftest import COLUMNS, COPIED, drillcore, write_catalogue, write_model, write_pairs
from tests.helpers import ROOT, run
from tests.study import quick_params

FEW_STAGES = [
    "check",
    "prepare",
    "tokenize",
    "finetune",
    "dump",
    "fit",
    "pool",
    "baseline",
    "score",
    "correlate",
    "report",
]
"""the rest says nothing of the command, and takes half of the time"""
COMMAND = ["run", "my pairs.csv", "my-model", *COLUMNS, "--limit", "20"]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A repository with few stages, in which nothing has run."""
    folder = tmp_path_factory.mktemp("clone")
    for name in COPIED:
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        ignore = shutil.ignore_patterns("__pycache__", "tmp", "cache", "config.local")
        shutil.copytree(ROOT / name, place, ignore=ignore) if (ROOT / name).is_dir() else shutil.copy(
            ROOT / name, place
        )
    for name in ("model", "adapter"):  # stages depend on them by name
        (folder / "data/demo" / name).mkdir(parents=True)
        (folder / "data/demo" / name / "none.json").write_text("{}")
    shutil.copy(ROOT / "data/demo/vectors.txt.gz", folder / "data/demo")
    flow = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    flow["stages"] = {name: flow["stages"][name] for name in FEW_STAGES}
    del flow["plots"]
    (folder / "dvc.yaml").write_text(yaml.safe_dump(flow, sort_keys=False))
    params = quick_params() | {"models": ["tiny"], "baselines": ["overlap"], "prepare": {"limit": None}}
    params["fit"]["poolings"] = []
    (folder / "params.yaml").write_text("# the settings\n" + yaml.safe_dump(params, sort_keys=False))
    write_catalogue(folder)
    for words in (["init", "-q"], ["config", "user.name", "t"], ["config", "user.email", "t@t"], ["add", "-A"]):
        run(folder, "git", *words)
    run(folder, "git", "commit", "-qm", "study")
    write_pairs(folder / "my pairs.csv")
    write_model(folder / "my-model")
    return folder


@pytest.fixture(scope="module")
def first(clone):
    """The output of the first run."""
    return drillcore(clone, *COMMAND, "--save", "first").stdout


def ran(log):
    return [name for name in re.findall(r"Running stage '([^']+)'", log) if name != "check"]


def test_a_run_says_what_it_writes_runs_the_pipeline_and_says_where_to_look(clone, first):
    assert re.search(r"^catalog.yaml: dataset my-pairs: path my pairs.csv, columns sentence1 question, .*", first, re.M)
    assert "params.yaml: models: [tiny] -> [my-model]" in first
    assert "my-pairs: 40 pairs (train 20, test 20)" in first
    manifest = json.loads((clone / "data/manifests/my-model.json").read_text())
    states = sum(shard["bytes"] for shard in manifest["shards"])
    assert f" {manifest['tokens']:,} tokens; " in first
    assert states > 0
    assert "to go back: git checkout params.yaml && dvc repro" in first
    assert "dump@my-model" in ran(first)
    report = (clone / "results/report.md").read_text()
    answer = next(line for line in report.splitlines() if line.startswith("- ")).replace("**", "")
    assert answer in first
    assert "read results/report.md" in first
    assert "kept as experiment first" in first


def test_what_a_person_wrote_in_the_settings_stays(clone, first):
    before, now = (run(clone, "git", "show", "HEAD:catalog.yaml").stdout, (clone / "catalog.yaml").read_text())
    rest = iter(now.splitlines())
    assert all(line in rest for line in before.splitlines())  # in their order
    values = yaml.safe_load(now)
    assert values["datasets"]["my-pairs"]["columns"] == dict(
        zip(("sentence1", "sentence2", "label", "split"), COLUMNS[1::2])
    )
    assert values["models"]["my-model"]["path"] == "my-model"
    assert (clone / "params.yaml").read_text().startswith("# the settings\n")
    assert yaml.safe_load((clone / "params.yaml").read_text())["prepare"]["limit"] == 20


def test_the_same_again_writes_and_runs_nothing(clone, first):
    texts = {name: (clone / name).read_bytes() for name in ("catalog.yaml", "params.yaml", "dvc.lock")}
    again = drillcore(clone, "run", "my pairs.csv", "my-model", "--limit", "20").stdout  # without its columns too
    assert "catalog.yaml and params.yaml say this already" in again
    assert ran(again) == []
    assert {name: (clone / name).read_bytes() for name in texts} == texts


def test_experiments_are_compared_and_a_layer_is_exported(clone, first):
    changed = drillcore(clone, *COMMAND, "--pooling", "last", "--save", "last").stdout
    assert "params.yaml: pooling: mean -> last" in changed
    assert set(ran(changed)) == {"pool@my-model", "score", "correlate", "report"}
    said = drillcore(clone, "compare", "first", "workspace", "--out", "compared.csv").stdout
    [row] = pl.read_csv(clone / "compared.csv").to_dicts()
    assert row["encoder"] == row["against_encoder"] == "my-model"
    assert row["n"] == 20
    table = pl.read_csv(clone / "results/correlations.csv").filter(encoder="my-model", split="test", selected=True)
    assert abs(row["spearman"] - table["spearman"][0]) < 1e-12
    assert "workspace: my-model" in said
    assert "the same scores on both sides, so nothing to test: overlap char4, overlap dice, " in said
    wrong = drillcore(clone, "compare", "first", "lats", check=False)
    assert re.match(r"error: 'lats' is no experiment, .*: the experiments are .*last", wrong.stderr)

    drillcore(clone, "export", "my-model", "layer.npy")
    exact = pl.read_parquet(clone / "data/pooled/my-model/vectors.parquet")[f"layer_{table['layer'][0]:02}"].to_numpy()
    assert np.array_equal(np.load(clone / "layer.npy"), exact)
    described = drillcore(clone, "describe").stdout
    assert "stages: none, all is up to date" in described
    assert "only the first 20 pairs of each split" in described
