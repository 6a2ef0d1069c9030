"""The pipeline run through DVC, in a repository of its own."""

import json
import os
import re

import polars as pl
import pytest
import yaml

from tests.helpers import ROOT, run


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A copy of the project as a git repository of its own, with a tiny model, run once."""
    folder = tmp_path_factory.mktemp("clone")
    listed = run(ROOT, "git", "ls-files", "-co", "--exclude-standard").stdout.splitlines()
    for file in (name for name in listed if name != "dvc.lock" and (ROOT / name).exists()):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes((ROOT / file).read_bytes())
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params |= {"models": ["tiny"], "baselines": ["overlap"], "prepare": {"limit": 30}}
    params["dump"]["gate_tokens"] = 200
    params["correlate"]["resamples"] = 200
    params["fit"] |= {"epochs": 2, "runs": 2, "controls": True}
    sweep = {"poolings": ["mean", "sif", "attention", "diagonal"], "corrections": ["none"], "similarities": ["cosine"]}
    params["sweep"] = sweep | {"controls": True}
    params["probe"] |= {"strengths": [0.01, 1], "folds": 2, "controls": True}
    params["efficiency"] |= {"pairs": 2, "repeats": 3, "batch_sizes": []}
    params["geometry"] |= {"sentences": 20, "traced": 20, "resamples": 20}
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    catalog = yaml.safe_load((folder / "catalog.yaml").read_text())
    for name, seed in (("tiny", 0), ("other", 1)):
        config = {"model_type": "rwkv6", "vocab_size": 256, "hidden_size": 16, "num_hidden_layers": 2, "head_size": 8}
        catalog["models"][name] = {"random": seed, "config": config, "tokenizer": "bytes"}
    (folder / "catalog.yaml").write_text(yaml.safe_dump(catalog, sort_keys=False))
    run(folder, "git", "init", "-q")
    for key, value in (("user.name", "t"), ("user.email", "t@t")):
        run(folder, "git", "config", key, value)
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", "study")
    run(folder, "dvc", "repro")
    run(folder, "git", "add", "dvc.lock")
    run(folder, "git", "commit", "-qm", "results")
    return folder


def dvc(folder, *command, check=True):
    done = run(folder, "dvc", *command, check=check)
    return done.stdout + done.stderr


def ran(log):
    """The stages that a log says were run, but for the check of settings and code."""
    return [name for name in re.findall(r"Running stage '([^']+)'", log) if name != "check"]


def test_the_pipeline_runs_and_reports(repository):
    metrics = json.loads((repository / "results/metrics.json").read_text())
    assert (metrics["dataset"], metrics["split"], metrics["layer_selected_on"]) == ("sample", "test", "train")
    overlaps = {"overlap-dice", "overlap-jaccard", "overlap-char4", "overlap-tfidf"}
    assert set(metrics["rho"]) == {"tiny", *overlaps}
    assert "tiny" in (repository / "results/report.md").read_text()
    assert "tiny" in (repository / "results/poolings.md").read_text()
    assert "tiny" in (repository / "results/probes.md").read_text()
    assert "## C1" in (repository / "results/claims.md").read_text()
    assert "tiny" in (repository / "results/report.html").read_text()
    assert len(pl.read_csv(repository / "results/correlations.csv")) == (3 + 1) * (3 + 4)
    assert run(repository, "git", "status", "--porcelain").stdout == ""


def test_nothing_changed_runs_nothing_and_warns_of_nothing(repository):
    log = dvc(repository, "repro")
    assert "Running stage" not in log
    assert "WARNING" not in log
    assert "up to date" in dvc(repository, "status")
    assert run(repository, "git", "status", "--porcelain").stdout == ""


def verdicts_of(repository, claim):
    return json.loads((repository / "results/claims.json").read_text())["claims"][claim]["verdicts"]


@pytest.mark.parametrize(
    ("project", "page", "copy", "claim", "measure"),
    [
        ("cost", "cost.md", "efficiency.csv", "C4", "time"),
        ("geometry", "geometry.md", "geometry.parquet", "C7", "few_carriers"),
    ],
)
def test_a_project_beside_measures_when_it_is_asked_to_and_the_claims_follow(
    repository, project, page, copy, claim, measure
):
    assert not (repository / "results" / page).exists()
    assert verdicts_of(repository, claim) == {"tiny": "not tested here"}
    stage = {"cost": "efficiency"}.get(project, project)
    assert f"Running stage '{stage}'" in dvc(repository, "--cd", project, "repro")
    assert "tiny" in (repository / "results" / page).read_text()
    assert ran(dvc(repository, "repro")) == ["claims", "page"]
    for words in ([], ["--cd", project]):
        assert "up to date" in dvc(repository, *words, "status")
        assert "Running stage" not in dvc(repository, *words, "repro")
    found = pl.read_csv(repository / "results/claims.csv").filter(measure=measure)
    if project == "geometry":
        assert found["verdict"].to_list() != ["not tested here"]
    else:  # no word vectors among the baselines
        assert "glove-6b-50d" in found["command"][0]

    (repository / "data/beside" / copy).unlink()
    (repository / "data/beside" / f"{copy.split('.')[0]}-study.json").unlink()
    back = dvc(repository, "repro")
    assert ran(back) == []
    assert "Stage 'claims' is cached" in back
    assert verdicts_of(repository, claim) == {"tiny": "not tested here"}
    assert run(repository, "git", "status", "--porcelain").stdout == f"?? {project}/dvc.lock\n"
    (repository / project / "dvc.lock").unlink()


def test_what_a_killed_stage_leaves_beside_results_makes_nothing_run_again(repository):
    """Where DVC restores the result from its cache, the stage does not run, and its half file stays."""
    names = [
        "data/pairs/info.json",
        "data/tokens/tiny.parquet",
        "data/pooled/tiny/vectors.parquet",
        "results/report.md",
    ]
    halves = [repository / f"{name}.part" for name in names]
    for half in halves:
        half.write_text("half")
    assert "Running stage" not in dvc(repository, "repro")
    assert "up to date" in dvc(repository, "status")
    for half in halves:
        half.unlink()


def test_a_flipped_byte_of_a_shard_is_mended_and_nothing_else_runs(repository):
    """Workspace, scratch store and DVC's cache hold one file; its time stays, so DVC does not see the flip."""
    [shard] = (repository / "data/states/tiny").glob("*.arrow")
    intact, status = shard.read_bytes(), shard.stat()
    assert status.st_nlink >= 3
    damaged = bytearray(intact)
    damaged[len(intact) // 2] ^= 1
    shard.chmod(0o644)
    shard.write_bytes(damaged)
    os.utime(shard, ns=(status.st_atime_ns, status.st_mtime_ns))
    log = dvc(repository, "repro", "-f", "-s", "dump@tiny")
    assert "is not what was written (another sha256): it is made again" in log
    [again] = (repository / "data/states/tiny").glob("*.arrow")
    assert again.read_bytes() == intact
    assert ran(dvc(repository, "repro")) == []


def test_another_pooling_reruns_pool_to_report_and_going_back_runs_nothing(repository):
    own = ["pool@tiny", "score", "correlate", "report", "probe@tiny", "probes", "claims", "page"]
    assert sorted(ran(dvc(repository, "exp", "run", "-S", "pooling=last"))) == sorted(own)
    changed = pl.read_parquet(repository / "data/scores.parquet")
    assert set(changed["pooling"].drop_nulls()) == {"last"}
    back = dvc(repository, "exp", "run", "-S", "pooling=mean")
    assert ran(back) == []
    assert back.count("is cached - skipping run") == 8
    assert set(pl.read_parquet(repository / "data/scores.parquet")["pooling"].drop_nulls()) == {"mean"}


def test_another_engine_reruns_the_check_alone(repository):
    pytest.importorskip("ray", reason="the extra ray is not installed")
    before = (repository / "dvc.lock").read_text()
    log = dvc(repository, "repro", "--dry")
    assert "Running stage" not in log
    params = (repository / "params.yaml").read_text()
    (repository / "params.yaml").write_text(params.replace("engine: local", "engine: ray"))
    log = dvc(repository, "repro")
    assert re.findall(r"Running stage '([^']+)'", log) == ["check"]
    assert ran(log) == []
    (repository / "params.yaml").write_text(params)
    assert ran(dvc(repository, "repro")) == []
    assert (repository / "dvc.lock").read_text() == before


def test_a_setting_of_the_probes_reruns_them_alone(repository):
    found = ran(dvc(repository, "exp", "run", "-S", "probe.layers=[-1]", "-S", "probe.probes=[bilinear]"))
    assert sorted(found) == ["claims", "page", "probe@tiny", "probe_baselines", "probes"]
    table = pl.read_csv(repository / "results/probes.csv")
    assert set(table["probe"]) == {"bilinear", "measures"}
    assert set(table["layer"].drop_nulls()) == {2}
    run(repository, "git", "checkout", "-q", "params.yaml")
    assert ran(dvc(repository, "repro")) == []


def test_another_model_and_baseline_run_only_their_own_cells_and_taking_them_away_runs_nothing(repository):
    page = (repository / "results/report.md").read_bytes()
    log = dvc(repository, "exp", "run", "-S", "models=[tiny,other]", "-S", "baselines=[overlap,random]")
    own = [
        "tokenize@other",
        "finetune@other",
        "dump@other",
        "fit@other",
        "pool@other",
        "sweep@other",
        "probe@other",
        "baseline@random",
    ]
    own += ["score", "correlate", "compare", "report", "poolings", "probe_baselines", "probes", "claims", "page"]
    assert sorted(ran(log)) == sorted(own)
    assert set(pl.read_parquet(repository / "data/scores.parquet")["encoder"]) == {"tiny", "other", "overlap", "random"}
    back = dvc(repository, "exp", "run", "-S", "models=[tiny]", "-S", "baselines=[overlap]")
    assert ran(back) == []
    assert not (repository / "data/baselines/random").exists()
    assert "put away, since params.yaml does not name them: results of other" in back
    assert set(pl.read_parquet(repository / "data/scores.parquet")["encoder"]) == {"tiny", "overlap"}
    assert (repository / "results/report.md").read_bytes() == page


@pytest.mark.slow
def test_several_data_sets_are_run_one_by_one_and_going_back_to_each_runs_nothing(repository):
    params = (repository / "params.yaml").read_bytes()
    command = ["python", "-m", "stages.datasets", "shorter", "broken", "sample"]
    texts = {name: (repository / name).read_text() for name in ("catalog.yaml", "data/sample/hard.tsv")}
    catalog = yaml.safe_load(texts["catalog.yaml"])
    header, *lines = texts["data/sample/hard.tsv"].splitlines()
    (repository / "shorter.tsv").write_text("\n".join([header, *lines[::3]]) + "\n")
    (repository / "broken.tsv").write_text("nothing of use\n")
    catalog["datasets"] |= {name: {"path": f"{name}.tsv"} for name in ("shorter", "broken")}
    (repository / "catalog.yaml").write_text(yaml.safe_dump(catalog, sort_keys=False))
    first = run(repository, *command, check=False)
    assert first.returncode == 1
    assert "data set broken failed: the lines above say why" in first.stderr
    assert first.stderr.endswith("error: broken failed: nothing of it is in the table\n")
    assert "dump@tiny" in ran(first.stdout + first.stderr)
    table = pl.read_csv(repository / "results/datasets.csv")
    assert table["dataset"].unique(maintain_order=True).to_list() == ["shorter", "sample"]
    own = pl.read_csv(repository / "results/correlations.csv")
    assert table.filter(dataset="sample").drop("dataset", "reported").equals(own)
    page = (repository / "results/datasets.md").read_text()
    assert "because the run failed: broken" in page
    assert (repository / "results/datasets.png").exists()
    assert (repository / "params.yaml").read_bytes() == params
    assert "up to date" in dvc(repository, "status")

    again = run(repository, *command[:3], "shorter")
    assert ran(again.stdout + again.stderr) == []
    assert again.stderr.count("params.yaml: dataset is sample again, and `dvc repro` brings its results back") == 1
    assert ran(dvc(repository, "repro")) == []
    wrong = run(repository, *command[:3], "shorter", "samle", check=False)
    assert re.match("error: .*did you mean sample", wrong.stderr)
    joined = run(repository, *command[:3], "--no-run", "shorter", check=False)
    assert joined.returncode == 0, joined.stderr
    run(repository, "git", "checkout", "-q", "catalog.yaml")
    assert ran(dvc(repository, "repro")) == []


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        # one that DVC reads too, one of a list that it runs stages for; tests/check has all others
        ("dataset=samle", r"no dataset 'samle' in catalog.yaml: did you mean sample\?"),
        ("models=[tinny]", r"no model 'tinny' in catalog.yaml: did you mean tiny\?"),
        ("pooling=atention", r"pooling is 'atention': did you mean attention\?"),
    ],
)
def test_a_wrong_name_is_found_before_anything_runs(repository, setting, complaint):
    before = (repository / "results/metrics.json").read_bytes()
    log = dvc(repository, "exp", "run", "-S", setting, check=False)
    assert re.search(rf"^error: .*{complaint}", log, re.MULTILINE), log
    assert "Traceback" not in log
    assert ran(log) == []
    run(repository, "git", "checkout", "-q", "params.yaml")
    assert (repository / "results/metrics.json").read_bytes() == before


def test_a_key_that_is_not_there_is_named_by_dvc_and_by_the_check(repository):
    """`exp run -S` overrides what is there, so DVC refuses a new key itself; in the file, the check names it."""
    log = dvc(repository, "exp", "run", "-S", "fit.epoch=3", check=False)
    assert "Could not override 'fit.epoch'" in log
    assert ran(log) == []
    text = (repository / "params.yaml").read_text()
    (repository / "params.yaml").write_text(text.replace("  epochs: 2", "  epoch: 2"))
    log = dvc(repository, "repro", check=False)
    assert "unknown epoch (did you mean epochs?" in log
    assert ran(log) == []
    run(repository, "git", "checkout", "-q", "params.yaml")


def test_comments_of_the_settings_survive_an_experiment(repository):
    (repository / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    comments = [line.strip() for line in (ROOT / "params.yaml").read_text().splitlines() if "#" in line]
    assert len(comments) >= 20
    program = "from dvc.utils.hydra import apply_overrides as f; f('params.yaml', ['report.false_positives=2'])"
    run(repository, "python", "-c", program)  # what `exp run -S` does to the file
    written = (repository / "params.yaml").read_text()
    assert [line.strip() for line in written.splitlines() if "#" in line] == comments
    run(repository, "git", "checkout", "-q", "params.yaml")


def test_plots_are_the_pictures_and_a_curve_that_is_made_from_the_table(repository):
    dvc(repository, "plots", "show", "-o", "plots")
    page = (repository / "plots/index.html").read_text()
    assert '"layer"' in page
    assert "tiny" in page
    for name in ("layers.png", "poolings.png", "probes.png"):
        [picture] = re.findall(rf'<img src="(static/\S+_{name})">', page)
        assert (repository / "plots" / picture).read_bytes() == (repository / "results" / name).read_bytes()
