"""dvc.yaml against the code, and the pipeline run through DVC in a repository of its own."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml

ROOT = Path(__file__).parents[1]
DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
STAGES = {name: stage.get("do", stage) for name, stage in DVC.items()}
DEMO = {
    name: {key: value for key, value in stage.items() if key != "wdir"}
    for name, stage in yaml.safe_load((ROOT / "data/demo/dvc.yaml").read_text())["stages"].items()
}
EVERY = STAGES | DEMO


def imports(file):
    """Files of this project that a file imports, directly or not, also inside functions."""
    found, todo = set(), [file]
    while todo:
        for node in ast.walk(ast.parse((ROOT / todo.pop()).read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            for name in names:
                path = name.replace(".", "/") + ".py"
                if name.startswith("pipeline") and (ROOT / path).exists() and path not in found:
                    found.add(path)
                    todo.append(path)
    return found


def test_the_map_imports_nothing_so_that_it_is_no_dependency():
    body = ast.parse((ROOT / "pipeline/__init__.py").read_text()).body
    assert [type(node) for node in body] == [ast.Expr]


@pytest.mark.parametrize("name", EVERY)
def test_deps_of_a_stage_are_exactly_its_script_and_imports(name):
    listed = {dep for dep in EVERY[name]["deps"] if dep.endswith(".py")}
    assert listed == imports(f"stages/{name}.py") | {f"stages/{name}.py"}


@pytest.mark.parametrize("name", EVERY)
def test_keys_of_a_stage_are_in_one_order_and_sorted(name):
    stage = EVERY[name]
    order = ["cmd", "deps", "params", "outs", "metrics"]
    assert list(stage) == [key for key in order if key in stage]
    assert stage["deps"] == sorted(stage["deps"])
    assert re.match(rf"python -m stages\.{name} ", stage["cmd"])


@pytest.mark.parametrize("name", EVERY)
def test_every_path_in_the_command_is_a_dep_or_an_out(name):
    """What a stage reads and DVC does not know of would go stale in silence."""
    stage = EVERY[name]
    known = [*stage["deps"], *stage["outs"], *stage.get("metrics", [])]
    paths = re.findall(r"--\S+ ((?:data|results)/\S+)", stage["cmd"])
    assert paths
    assert [path for path in paths if path not in known] == []


@pytest.mark.parametrize("name", STAGES)
def test_params_of_a_stage_are_the_sections_it_reads(name):
    source = (ROOT / f"stages/{name}.py").read_text()
    read = set(re.findall(r'params\.section\(\s*"(\w+)"', source)) | set(
        re.findall(r"params\.study\(\)\.(\w+)|study\.(\w+)", source) and [a or b for a, b in re.findall(r"params\.study\(\)\.(\w+)|study\.(\w+)", source)]
    )
    listed = {key for key in STAGES[name].get("params", []) if isinstance(key, str)}
    assert listed == read


def test_every_section_belongs_to_a_stage():
    top = set(yaml.safe_load((ROOT / "params.yaml").read_text()))
    assert top - {"dataset", "models", "baselines", "pooling"} <= set(STAGES)


def test_outs_are_ignored_by_git():
    outs = [out.replace("${item}", "x") for stage in STAGES.values() for out in [*stage["outs"], *stage.get("metrics", [])]]
    ignored = subprocess.run(["git", "check-ignore", *outs], cwd=ROOT, capture_output=True, text=True).stdout.split()
    assert set(outs) == set(ignored)


@pytest.mark.parametrize("stage", ["score", "correlate", "report", "pool"])
def test_cheap_stages_import_neither_torch_nor_transformers(stage):
    program = f"import sys, stages.{stage}; print([m for m in ('torch', 'transformers', 'datasets', 'sklearn') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def run(folder, *command):
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(folder), "DRILLCORE_THREADS": "1"}
    for variable in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        environment.pop(variable, None)
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A copy of the project as a git repository of its own, with a smaller model, run once."""
    folder = tmp_path_factory.mktemp("clone")
    for file in subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        if file != "dvc.lock" and (ROOT / file).exists():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes((ROOT / file).read_bytes())
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params |= {"models": ["tiny"], "baselines": ["overlap"], "prepare": {"limit": 30}}
    params["dump"]["gate_tokens"] = 200
    params["correlate"]["resamples"] = 200
    params["fit"] |= {"epochs": 2, "runs": 2}
    params["sweep"] = {"poolings": ["mean", "sif", "attention", "diagonal"], "corrections": ["none"], "similarities": ["cosine"]}
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    catalog = yaml.safe_load((folder / "catalog.yaml").read_text())
    for name, seed in (("tiny", 0), ("other", 1)):
        config = {"model_type": "rwkv6", "vocab_size": 256, "hidden_size": 16, "num_hidden_layers": 2, "head_size": 8}
        catalog["models"][name] = {"random": seed, "config": config, "tokenizer": "bytes"}
    (folder / "catalog.yaml").write_text(yaml.safe_dump(catalog, sort_keys=False))
    for command in (["git", "init", "-q"], ["git", "add", "-A"], ["git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "study"]):
        run(folder, *command)
    run(folder, "git", "config", "user.name", "t")
    run(folder, "git", "config", "user.email", "t@t")
    run(folder, "dvc", "repro")
    return folder


def ran(log):
    return re.findall(r"Running stage '([^']+)'", log)


def test_the_pipeline_runs_and_reports(repository):
    metrics = json.loads((repository / "results/metrics.json").read_text())
    assert set(metrics["splits"]) == {"train", "validation", "test"}
    assert set(metrics["splits"]["test"]) == {"tiny", "overlap-dice", "overlap-jaccard", "overlap-char4", "overlap-tfidf"}
    assert "tiny" in (repository / "results/report.md").read_text()
    assert (repository / "results/layers.png").read_bytes().startswith(b"\x89PNG")
    assert len(pl.read_csv(repository / "results/correlations.csv")) == 3 * (3 + 4)
    assert run(repository, "git", "status", "--porcelain", "--", ".", ":!dvc.lock") == ""


def test_another_pooling_reruns_pool_to_report_only_and_going_back_runs_nothing(repository):
    assert ran(run(repository, "dvc", "exp", "run", "-S", "pooling=last")) == ["pool@tiny", "score", "correlate", "report"]
    changed = pl.read_parquet(repository / "data/scores.parquet")
    assert set(changed["pooling"].drop_nulls()) == {"last"}
    back = run(repository, "dvc", "exp", "run", "-S", "pooling=mean")
    assert ran(back) == []
    assert back.count("is cached - skipping run") == 4
    assert set(pl.read_parquet(repository / "data/scores.parquet")["pooling"].drop_nulls()) == {"mean"}


def test_another_model_runs_only_its_own_cells(repository):
    log = run(repository, "dvc", "exp", "run", "-S", "models=[tiny,other]")
    models = ["tokenize@other", "dump@other", "fit@other", "pool@other", "sweep@other"]
    assert sorted(ran(log)) == sorted([*models, "score", "correlate", "compare", "report"])
    assert set(pl.read_parquet(repository / "data/scores.parquet")["encoder"]) == {"tiny", "other", "overlap"}
    run(repository, "dvc", "exp", "run", "-S", "models=[tiny]")
    assert set(pl.read_parquet(repository / "data/scores.parquet")["encoder"]) == {"tiny", "overlap"}


def test_a_bad_value_ends_with_one_clear_line_and_keeps_the_results(repository):
    before = (repository / "results/metrics.json").read_bytes()
    with pytest.raises(AssertionError) as failed:
        run(repository, "dvc", "exp", "run", "-S", "pooling=lats")
    assert "error: pooling is 'lats', expected one of mean, last" in str(failed.value)
    assert "Traceback" not in str(failed.value)
    run(repository, "git", "checkout", "-q", "params.yaml")
    run(repository, "dvc", "repro")
    assert (repository / "results/metrics.json").read_bytes() == before


def test_the_plot_of_layers_is_made_from_the_table(repository):
    run(repository, "dvc", "plots", "show", "-o", "plots")
    page = (repository / "plots/index.html").read_text()
    assert '"layer"' in page
    assert "tiny" in page
