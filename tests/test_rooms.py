"""The shape of the code: who may import whom, how long a module may be, what each stage depends on."""

import ast
import json
import re
import subprocess
import sys

import pytest
import yaml

from pipeline.base import code, settings
from tests.helpers import ROOT

BELOW = {  # room -> the rooms that it may import; imports run downwards only
    "base": [],
    "storage": ["base"],
    "engine": ["base"],
    "stats": [],
    "catalog": ["base"],
    "formats": ["base", "storage"],
    "text": ["base", "catalog", "formats", "engine"],
    "models": ["base", "catalog", "formats"],
    "baselines": ["base", "catalog", "formats", "engine"],
    "pool": ["base", "formats", "engine"],
    "readouts": ["base", "models"],
    "dump": ["base", "catalog", "formats", "models", "readouts", "storage", "engine"],
    "fit": ["base", "formats", "stats", "pool"],
    "finetune": ["base", "catalog", "formats", "stats", "models", "text", "fit"],
    "score": ["base", "formats", "pool"],
    "probe": ["base", "formats", "stats", "pool"],
    "analyse": ["base", "formats", "stats"],
    "geometry": ["base", "formats", "stats", "engine"],
    "claims": ["base", "formats", "stats", "analyse"],
    "report": ["base", "stats", "formats", "claims"],
    "page": ["formats", "claims", "report"],
    "export": ["base", "catalog", "formats", "models", "text", "pool", "readouts", "dump"],
    "demo": ["base", "catalog", "formats", "models", "text"],
    "cost": ["base", "catalog", "formats", "text", "models", "baselines", "readouts", "dump", "score"],
    "check": [
        "base",
        "catalog",
        "formats",
        "engine",
        "text",
        "readouts",
        "dump",
        "fit",
        "finetune",
        "pool",
        "score",
        "probe",
        "analyse",
        "geometry",
        "report",
        "cost",
    ],
    "command": [
        "base",
        "catalog",
        "formats",
        "engine",
        "text",
        "models",
        "readouts",
        "pool",
        "dump",
        "analyse",
        "report",
        "export",
        "check",
    ],
}
FILES = sorted((ROOT / "pipeline").rglob("*.py"))
STAGES = {
    name: stage.get("do", stage) for name, stage in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].items()
}
NO_STAGES = {"clean", "datasets"}
BESIDE = {"cost": ("efficiency", "cost"), "geometry": ("geometry", "relate")}
"""DVC projects inside this one -> the scripts of their one stage, which has the name of the first"""
MEASURED = [name for names in BESIDE.values() for name in names]
HEAVY = ("torch", "transformers", "datasets", "sklearn", "scipy.stats", "matplotlib")


IMPORTED = """
import importlib, json, sys
from pathlib import Path

def ours():
    return {name: m.__file__ for name, m in sys.modules.items() if name.split(".")[0] in ("pipeline", "stages")}

files = {}
for script in sorted(Path("stages").glob("[!_]*.py")):
    for name in ours():
        del sys.modules[name]  # but for what others wrote, which takes seconds to import
    importlib.import_module(f"stages.{script.stem}")
    files[script.stem] = sorted(ours().values())
print(json.dumps(files))
"""
"""a program: which of our files each stage imports"""


def outs_of(stage):
    """The results of a stage; one with options is a mapping."""
    outs = [*stage["outs"], *stage.get("metrics", [])]
    return [out if isinstance(out, str) else next(iter(out)) for out in outs]


def room_of(file):
    return file.relative_to(ROOT / "pipeline").parts[0]


def named(file):
    return file.relative_to(ROOT).as_posix()


def test_what_the_page_is_made_from_besides_python_is_a_dep_of_its_stage():
    """The hashes of a stage's code are of Python alone."""
    others = {named(file) for file in (ROOT / "pipeline").rglob("*.*") if file.suffix in (".css", ".html", ".js")}
    assert others == {dep for dep in STAGES["page"]["deps"] if dep.startswith("pipeline/")}
    assert others


def test_every_room_is_in_the_table_and_every_module_in_a_room():
    assert {room_of(file) for file in FILES} - {"__init__.py"} == set(BELOW)


@pytest.mark.parametrize("file", FILES, ids=named)
def test_a_module_imports_rooms_below_its_own(file):
    imported = {name.split(".")[1] for name in code.imported_names(file) if name.startswith("pipeline.")}
    allowed = [] if file.name == "__init__.py" else [room_of(file), *BELOW[room_of(file)]]
    assert sorted(imported - set(allowed)) == []
    assert not any(name.startswith("stages") for name in code.imported_names(file))


def test_the_table_has_no_circle():
    left = {room: set(below) for room, below in BELOW.items()}
    while left:
        free = {room for room, below in left.items() if not below}
        assert free, f"a circle among {sorted(left)}"
        left = {room: below - free for room, below in left.items() if room not in free}


def test_check_reads_settings_and_names_only():
    """It runs before every run of the pipeline, so it loads nothing that computes."""
    rooms = set(BELOW) - {"base", "catalog", "check"}
    modules = {name for file in (ROOT / "pipeline/check").glob("*.py") for name in code.imported_names(file)}
    modules = {
        ".".join(name.split(".")[:3]) for name in modules if name.count(".") >= 2 and name.split(".")[1] in rooms
    }
    assert {name.split(".")[2] for name in modules} <= {"settings", "names", "statistics"}  # the last in a function


@pytest.mark.parametrize("file", FILES, ids=named)
def test_modules_and_functions_are_short(file):
    text = file.read_text()
    assert len(text.splitlines()) <= 250
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno + 1 <= 50, f"{node.name} has {node.end_lineno - node.lineno + 1} lines"


@pytest.mark.parametrize("file", [file for file in FILES if file.name == "__init__.py"], ids=named)
def test_a_room_begins_with_what_it_is_for_and_runs_nothing(file):
    body = ast.parse(file.read_text()).body
    assert [type(node) for node in body] == [ast.Expr]
    assert len(ast.get_docstring(ast.parse(file.read_text()))) > 40


def test_the_map_names_every_room_and_every_stage():
    text = (ROOT / "pipeline/__init__.py").read_text()
    assert [room for room in BELOW if not re.search(rf"\b{room}\b", text)] == []
    assert [stage for stage in STAGES if not re.search(rf"\b{stage}\b", text)] == []


# stages and dvc.yaml


def test_stages_are_those_of_all_flows_and_two_that_are_called_by_hand():
    scripts = {file.stem for file in (ROOT / "stages").glob("*.py")}
    assert scripts - {"__init__", *NO_STAGES} == {*STAGES, *MEASURED}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_the_hashes_of_its_code(name):
    if name != "check":
        assert f"data/code/{name}.json" in STAGES[name]["deps"]


def test_the_hashes_are_made_anew_with_all_that_they_depend_on():
    assert STAGES["check"]["deps"] == ["catalog.yaml", "params.yaml", *code.PACKAGES]


def test_the_hashes_of_a_stage_are_those_of_its_script_and_of_all_that_it_imports(tmp_path):
    subprocess.run([sys.executable, "-m", "stages.check", "--out", str(tmp_path)], cwd=ROOT, check=True)
    assert {file.stem for file in tmp_path.iterdir()} == {*STAGES, *MEASURED} - {"check"}
    done = subprocess.run([sys.executable, "-c", IMPORTED], cwd=ROOT, capture_output=True, text=True, check=True)
    imported = json.loads(done.stdout)
    assert set(imported) == {*STAGES, *MEASURED, *NO_STAGES}
    for file in tmp_path.iterdir():
        listed = json.loads(file.read_text())
        files = {path.removeprefix(f"{ROOT}/") for path in imported[file.stem]}
        assert f"stages/{file.stem}.py" in files
        assert files <= set(listed), "imported, and not among the hashes"


@pytest.mark.parametrize("name", STAGES)
def test_keys_of_a_stage_are_in_one_order_and_sorted(name):
    stage = STAGES[name]
    order = ["desc", "cmd", "deps", "params", "outs", "metrics"]
    assert list(stage) == [key for key in order if key in stage]
    assert stage.get("deps", []) == sorted(stage.get("deps", []))
    assert re.match(rf"python -m stages\.{name} ", stage["cmd"])


@pytest.mark.parametrize("name", STAGES)
def test_every_path_in_the_command_is_a_dep_or_an_out(name):
    """What a stage reads and DVC does not know of would go stale in silence."""
    stage = STAGES[name]
    known = [*stage["deps"], *outs_of(stage)]
    paths = re.findall(r"--\S+ ((?:data|results)/\S+)", stage["cmd"])
    assert paths
    assert [path for path in paths if path not in known] == []


@pytest.mark.parametrize("name", [name for name in STAGES if name != "check"])
def test_params_of_a_stage_are_the_sections_and_entries_that_it_reads(name):
    source = (ROOT / f"stages/{name}.py").read_text()
    read = {cls.split(".")[-1].lower() for cls in re.findall(r"settings\.section\(([\w.]+)\)", source)}
    read |= set(re.findall(r"(?:settings\.study\(\)|\bstudy)\.(dataset|models|baselines|pooling)\b", source))
    if 'settings.read_yaml("params.yaml")' in source:
        read = set(yaml.safe_load((ROOT / "params.yaml").read_text())) - set(settings.OF_THE_MACHINE)
    listed = {key for key in STAGES[name].get("params", []) if isinstance(key, str)}
    assert listed == read
    reads_catalog = any(isinstance(key, dict) and "catalog.yaml" in key for key in STAGES[name].get("params", []))
    assert reads_catalog == ("entries.entry(" in source)


@pytest.mark.parametrize("project", BESIDE)
def test_a_project_of_its_own_knows_what_its_stage_reads(project):
    """Else `dvc repro` would run it, and `dvc status` would ask for it."""
    assert (ROOT / project / ".dvc/config").exists()
    name = BESIDE[project][0]
    stage = yaml.safe_load((ROOT / project / "dvc.yaml").read_text())["stages"][name]
    assert stage["deps"] == sorted(stage["deps"])
    assert f"../data/code/{name}.json" in stage["deps"]
    for script, command in zip(BESIDE[project], stage["cmd"], strict=True):
        assert command.startswith(f"cd .. && python -m stages.{script} ")
    source = (ROOT / f"stages/{name}.py").read_text()
    read = set(re.findall(r"settings\.section\((\w+)\)", source))
    read |= set(re.findall(r"(?:settings\.study\(\)|\bstudy)\.(\w+)\b", source))
    listed = next(params["../params.yaml"] for params in stage["params"] if "../params.yaml" in params)
    assert {name.lower() for name in read - set(settings.OF_THE_MACHINE)} <= set(listed)


def test_outs_are_ignored_by_git():
    outs = [out.replace("${item}", "x") for stage in STAGES.values() for out in outs_of(stage)]
    ignored = subprocess.run(["git", "check-ignore", *outs], cwd=ROOT, capture_output=True, text=True).stdout.split()
    assert set(outs) == set(ignored)


def stages_that_run(*files):
    """The stages whose results an edit of some files makes anew."""
    wanted = {ROOT / file for file in files}
    assert all(file.exists() for file in wanted)
    return {name for name in STAGES if name != "check" and wanted & set(code.closure(f"stages.{name}"))}


def test_an_edit_of_a_page_reruns_only_that_page():
    assert stages_that_run("pipeline/report/page.py") == {"report"}
    assert stages_that_run("pipeline/page/html.py") == {"page"}
    assert stages_that_run("pipeline/report/poolings.py") == {"poolings"}


def test_a_column_of_a_table_retrains_nothing():
    assert stages_that_run("pipeline/formats/tables.py") == {
        "correlate",
        "report",
        "compare",
        "poolings",
        "probes",
        "claims",
        "page",
    }


def test_a_new_tokenizer_reruns_tokenize_and_what_reads_text_itself():
    assert stages_that_run("pipeline/text/tokenizers.py") == {"tokenize", "finetune"}


def test_a_new_statistic_of_the_analysis_runs_no_model_and_learns_nothing():
    files = [
        file for file in (ROOT / "pipeline/analyse").glob("*.py") if file.name not in ("__init__.py", "settings.py")
    ]
    assert stages_that_run(*files) == {
        "correlate",
        "compare",
        "probes",
        "report",
        "claims",
        "page",
    }  # the last three: groups.py


def test_a_new_baseline_reruns_baselines_alone():
    assert stages_that_run("pipeline/baselines/overlap.py") == {"baseline"}


def test_no_analysis_reruns_the_model():
    rooms = ("stats", "fit", "score", "probe", "analyse", "report", "pool", "baselines", "text")
    files = [file for room in rooms for file in (ROOT / "pipeline" / room).glob("*.py") if file.name != "__init__.py"]
    assert "dump" not in stages_that_run(*files)


CHEAP = ("check", "pool", "score", "correlate", "report", "compare", "poolings", "probes", "claims", "page", *MEASURED)


@pytest.mark.parametrize("stage", CHEAP)
def test_cheap_stages_start_without_what_they_do_not_need(stage):
    program = f"import sys, stages.{stage}; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
