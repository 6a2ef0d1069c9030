"""The pipeline for several data sets: what is in params.yaml before, during and after, whatever happens."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline.base import several_datasets as runs
from pipeline.base.errors import InputError
from pipeline.base.settings import study
from tests.helpers import ROOT

PARAMS = "# what\ndataset: one # chosen\nmodels: [m]\nbaselines: []\npooling: mean\n"
FOLDER = Path("results/datasets")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(PARAMS)
    return tmp_path


@pytest.fixture
def dvc(folder, monkeypatch):
    """In place of DVC, something that writes which data set it saw; `ends` says with which status or exception."""

    class Dvc:
        ran, ends = [], {}

        def __call__(self, lock):
            name = study().dataset
            self.ran.append(name)
            for path in (
                runs.RESULTS / "correlations.csv",
                runs.RESULTS / "datasets.md",
                runs.INFO,
            ):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(name)
            end = self.ends.get(name, 0)
            if isinstance(end, BaseException):
                raise end
            return end

    fake = Dvc()
    fake.ran = []
    monkeypatch.setattr(runs, "dvc_repro", fake)
    return fake


def test_each_is_run_and_copied_and_that_of_the_settings_comes_last(folder, dvc, capsys):
    assert runs.run_each(["one", "two", "three"], FOLDER) == []
    assert dvc.ran == ["two", "three", "one"]
    for name in dvc.ran:
        assert {path.name for path in (FOLDER / name).iterdir()} == {"correlations.csv", "info.json", "params.yaml"}
        assert (FOLDER / name / "correlations.csv").read_text() == name
        assert yaml.safe_load((FOLDER / name / "params.yaml").read_text())["dataset"] == name
    assert (folder / "params.yaml").read_text() == PARAMS
    assert "again" not in capsys.readouterr().err  # it never was another one at the end


def test_a_failure_is_named_takes_no_other_along_and_leaves_no_older_results(folder, dvc, capsys):
    runs.run_each(["two"], FOLDER)
    dvc.ends = {"two": 1}
    assert runs.run_each(["two", "three"], FOLDER) == ["two"]
    assert [path.name for path in FOLDER.iterdir()] == ["three"]
    assert (folder / "params.yaml").read_text() == PARAMS
    said = capsys.readouterr().err.splitlines()
    assert "data set two failed: the lines above say why" in said
    assert said[-1] == "params.yaml: dataset is one again, and `dvc repro` brings its results back"


@pytest.mark.parametrize("end", [KeyboardInterrupt(), RuntimeError("a bug")])
def test_whatever_stops_it_the_settings_are_put_back(folder, dvc, end):
    dvc.ends = {"three": end}
    with pytest.raises(type(end)):
        runs.run_each(["two", "three", "four"], FOLDER)
    assert dvc.ran == ["two", "three"]
    assert (folder / "params.yaml").read_text() == PARAMS
    assert [path.name for path in FOLDER.iterdir()] == ["two"]


@pytest.mark.parametrize("chosen_since", [None, "mine"])
def test_after_a_kill_the_next_run_puts_back_but_not_what_somebody_chose_since(folder, dvc, chosen_since):
    runs.NOTE.parent.mkdir()
    runs.choose("two")
    runs.choose("three")  # and here it is killed
    (FOLDER / "four.part").mkdir(parents=True)
    if chosen_since:
        (folder / "params.yaml").write_text(runs.with_dataset(PARAMS, chosen_since))
    runs.run_each(["four"], FOLDER)
    assert study().dataset == (chosen_since or "one")
    assert [path.name for path in FOLDER.iterdir()] == ["four"]
    assert not runs.NOTE.exists()


def test_what_was_edited_meanwhile_stays(folder, dvc):
    def edits(lock):
        (folder / "params.yaml").write_text((folder / "params.yaml").read_text().replace("mean", "last"))
        return 1

    runs.dvc_repro = edits  # the fixture puts it back
    runs.run_each(["two"], FOLDER)
    assert (folder / "params.yaml").read_text() == PARAMS.replace("mean", "last")


@pytest.mark.parametrize("name", ["b", "a: b", "null", "1", "ü # x", "'q'", r"\1"])
def test_a_name_is_written_so_that_yaml_reads_it_and_the_rest_stays(name):
    changed = runs.with_dataset(PARAMS, name)
    assert yaml.safe_load(changed) == yaml.safe_load(PARAMS) | {"dataset": name}
    assert runs.with_dataset(changed, "one") == PARAMS


@pytest.mark.parametrize("text", ["{dataset: one}", "dataset:\n  one\n", "models: []\n"])
def test_a_file_without_such_a_line_is_refused_unchanged(folder, text):
    with pytest.raises(InputError, match="no line such as `dataset: sample`"):
        runs.with_dataset(text, "two")


def test_a_second_one_in_the_same_folder_is_refused(folder, dvc):
    runs.LOCK.parent.mkdir()
    with runs.LOCK.open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="already"):
            runs.run_each(["two"], FOLDER)
    assert dvc.ran == []
    assert (folder / "params.yaml").read_text() == PARAMS


PROGRAM = """
import json, sys
from pathlib import Path
from pipeline.base import several_datasets as runs

sys.executable = "dvc.sh"
print(runs.run_each(["two"], Path("results/datasets")))
"""
SHELL = """#!/bin/sh
trap 'sleep 1; echo stopped > heard; exit 1' INT
echo $$ > started
while true; do sleep 0.05; done
"""


@pytest.fixture
def started(folder):
    """A process that has started its DVC, a shell script that lives on until it hears Ctrl-C, and for a second more."""
    (folder / "dvc.sh").write_text(SHELL)
    (folder / "dvc.sh").chmod(0o755)
    program = PROGRAM.replace('"dvc.sh"', json.dumps(str(folder / "dvc.sh")))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", program], env=environment, start_new_session=True, stderr=-1
    ) as process:
        while not (folder / "started").exists() or not (folder / "started").read_text():
            assert process.poll() is None
        yield process
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def test_ctrl_c_waits_for_dvc_and_puts_back(folder, started):
    os.killpg(started.pid, signal.SIGINT)
    started.communicate()
    assert started.returncode != 0
    assert (folder / "heard").read_text() == "stopped\n"
    assert (folder / "params.yaml").read_text() == PARAMS


def test_while_the_dvc_of_a_killed_one_lives_on_no_other_changes_the_settings(folder, started, dvc):
    os.kill(started.pid, signal.SIGKILL)
    started.wait()
    assert study().dataset == "two"
    with pytest.raises(InputError, match="already"):
        runs.run_each(["three"], FOLDER)
    os.kill(int((folder / "started").read_text()), signal.SIGINT)
    while not (folder / "heard").exists():
        pass
    with runs.LOCK.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # free once the script has ended
    assert runs.run_each(["three"], FOLDER) == []
    assert (folder / "params.yaml").read_text() == PARAMS
