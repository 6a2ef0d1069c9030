"""What a stage's command says and how it ends."""

import errno
import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import pytest
import typer
import yaml

from pipeline.base import cli
from pipeline.base.cli import In, Out
from pipeline.base.errors import InputError
from tests.helpers import ROOT, contents, run


@pytest.fixture
def command(monkeypatch):
    """Run a function as a stage would, with some options -> its exit status."""
    monkeypatch.delenv("DRILLCORE_DEBUG", raising=False)

    def call(main, *options):
        monkeypatch.setattr(sys, "argv", ["stage", *options])
        with pytest.raises(SystemExit) as end:
            cli.run(main)
        return end.value.code or 0

    return call


def raising(error):
    def main():
        raise error

    return main


def system_error():
    """An error of the system, which names the file that it refuses."""
    Path("/nowhere/at/all").read_text()


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InputError("limit is 3"), "error: limit is 3"),
        (InputError("first line\n  second line\n"), "error: first line second line"),
        (InputError("\x1b[31mred\x1b[0m \x07bell \u202eback"), "error: \\x1b[31mred\\x1b[0m \\x07bell \\u202eback"),
        (InputError("naïve 漢字"), "error: naïve 漢字"),
    ],
)
def test_bad_input_is_one_line_and_exit_status_1(error, line, command, capsys):
    assert command(raising(error)) == 1
    assert capsys.readouterr() == ("", line + "\n")


def test_a_file_that_the_system_refuses_is_one_line_too(command, capsys):
    assert command(system_error) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("error: ")
    assert "/nowhere/at/all" in err


@pytest.mark.parametrize(
    "error",
    [AssertionError("ours"), ValueError("ours"), KeyError("ours"), ConnectionError("ours"), OverflowError("ours")],
)
def test_a_mistake_of_ours_keeps_its_traceback(error, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["stage"])
    with pytest.raises(type(error), match="ours"):
        cli.run(raising(error))


@pytest.mark.parametrize(("option", "variable"), [(["--debug"], None), ([], "1")])
def test_the_traceback_of_bad_input_can_be_asked_for(option, variable, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["stage", *option])
    monkeypatch.delenv("DRILLCORE_DEBUG", raising=False)
    if variable is not None:
        monkeypatch.setenv("DRILLCORE_DEBUG", variable)
    with pytest.raises(InputError, match="limit is 3"):
        cli.run(raising(InputError("limit is 3")))


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            InterruptedError("stopped after shard 3: run it again to go on"),
            "stopped after shard 3: run it again to go on",
        ),
        (InterruptedError(), "stopped: run it again to go on"),
    ],
)
def test_a_wish_to_stop_is_one_line_and_exit_status_130(error, line, command, capsys):
    assert command(raising(error)) == 130
    assert capsys.readouterr() == ("", line + "\n")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_what_the_system_refuses_without_naming_a_file_is_one_line_too(number, command, capsys):
    assert command(raising(OSError(number, os.strerror(number)))) == 1
    assert capsys.readouterr().err == f"error: [Errno {number}] {os.strerror(number)}\n"


@pytest.mark.parametrize(
    ("stage", "module"),
    [("prepare", "typer"), ("prepare", "pipeline.formats"), ("dump", "torch"), ("report", "polars")],
)
def test_control_c_while_a_stage_imports_is_one_line(stage, module, tmp_path):
    program = f"""if True:
        import builtins, sys
        real = builtins.__import__
        def interrupted(name, *rest, **more):
            if name.startswith({module!r}):
                raise KeyboardInterrupt
            return real(name, *rest, **more)
        builtins.__import__ = interrupted
        import stages.{stage}"""
    done = run(ROOT, "python", "-c", program, check=False)
    assert done.returncode != 0
    assert done.stderr == "stopped: run it again to go on\n"


def test_control_c_ends_with_exit_status_130_and_no_traceback(command, capsys):
    assert command(raising(KeyboardInterrupt())) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_function_gets_its_options_and_debug_is_not_one_of_them(command, tmp_path):
    got = {}

    def main(table: In, out: Out, count: Annotated[int, typer.Option()] = 3) -> None:
        got.update(table=table, out=out, count=count)

    assert command(main, "--debug", "--table", str(tmp_path), "--out", "o", "--count", "5") == 0
    assert got == {"table": tmp_path, "out": Path("o"), "count": 5}


def test_help_tells_of_debug(command, capsys):
    assert command(raising(InputError("not run")), "--help") == 0
    assert "--debug" in capsys.readouterr().out


# a stage as DVC runs it

TOY = "split,sentence1,sentence2,label\ntrain,a cat,a dog,1\ntrain,a bird,a dog,0\n"
OUTSIDE = "nobody-at-all/nothing-at-all"  # no repository; with the hub offline its name does not matter


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A project folder in which the stage prepare has run."""
    folder = tmp_path_factory.mktemp("project")
    settings = yaml.safe_load((ROOT / "params.yaml").read_text()) | {"dataset": "toy", "prepare": {"limit": None}}
    (folder / "params.yaml").write_text(yaml.safe_dump(settings))
    (folder / "catalog.yaml").write_text(yaml.safe_dump({"datasets": {"toy": {"path": "toy.csv"}}}))
    (folder / "toy.csv").write_text(TOY)
    prepare(folder)
    return folder


@pytest.fixture
def project(finished, tmp_path):
    """A copy of it."""
    return shutil.copytree(finished, tmp_path / "project")


def prepare(folder, check=True):
    environment = {
        "PYTHONPATH": str(ROOT),
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(folder / "cache"),
        "DRILLCORE_DEBUG": "",
    }
    command = (sys.executable, "-m", "stages.prepare", "--out", "data/pairs")
    return run(folder, *command, check=check, **environment)


def change(file, **values):
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | values))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda at: change(at / "params.yaml", dataset="tyo"), "no dataset 'tyo' in catalog.yaml: did you mean toy?"),
        (lambda at: (at / "toy.csv").unlink(), "dataset toy: toy.csv does not exist (looked at "),
        (lambda at: (at / "params.yaml").unlink(), "no params.yaml here: run from the project's folder"),
        (
            lambda at: change(at / "params.yaml", dataset=None),
            "top level of params.yaml: dataset is None, expected str",
        ),
        (lambda at: (at / "params.yaml").write_text("dataset: [toy\nmodels: {\n"), "params.yaml is not YAML"),
        (lambda at: (at / "catalog.yaml").write_text("datasets: [toy\n"), "catalog.yaml is not YAML"),
        (lambda at: (at / "catalog.yaml").unlink(), "catalog.yaml"),
        (
            lambda at: change(at / "catalog.yaml", datasets={"toy": {"hub": OUTSIDE}}),
            f"dataset toy needs {OUTSIDE}@main from the Hugging Face hub",
        ),
    ],
    ids=["unknown", "no-data", "no-params", "null", "broken-params", "broken-catalog", "no-catalog", "no-network"],
)
def test_a_stage_that_fails_ends_with_one_line_and_exit_status_1_and_loses_nothing(project, spoil, message):
    before = contents(project / "data")
    spoil(project)
    done = prepare(project, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert contents(project / "data") == before


def test_a_stage_that_succeeds_says_nothing_and_exits_0(project):
    before = contents(project / "data")
    done = prepare(project)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert contents(project / "data") == before


def test_an_input_that_is_not_there_is_one_line(project):
    options = ("--model", "m", "--sentences", "data/nowhere.parquet", "--out", "data/tokens.parquet")
    done = run(project, sys.executable, "-m", "stages.tokenize", *options, check=False, PYTHONPATH=str(ROOT))
    assert done.returncode == 1
    assert "error: " in done.stderr
    assert "Traceback" not in done.stderr
    assert not (project / "data/tokens.parquet").exists()
