"""Which engine is meant, and the one that is always there."""

import importlib.util
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from pipeline.base.errors import InputError
from pipeline.check.study import problems
from pipeline.engine import address, engines, names
from pipeline.engine.local import LOCAL
from tests.engine.starts import NoStart, Promised, Times, folder
from tests.helpers import ROOT
from tests.study import CATALOG, commands, quick_params, write_settings

WITHOUT_RAY = """
import importlib.abc, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "ray":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

import importlib.util
honest = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "ray" else honest(name, package)
sys.meta_path.insert(0, Absent())
sys.argv = sys.argv[1:]
import runpy
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
"""a program: runs a module where the extra ray is not installed"""


def test_both_tables_of_engines_have_the_same_names():
    assert list(engines.ENGINES) == list(names.ENGINES)


def test_the_setting_names_the_engine_and_the_environment_goes_before_it(monkeypatch):
    monkeypatch.delenv(names.VARIABLE, raising=False)
    assert names.chosen("local") == "local"
    monkeypatch.setenv(names.VARIABLE, "local")
    assert names.chosen("ray") == "local"
    assert engines.engine_of("ray") is LOCAL
    monkeypatch.setenv(names.VARIABLE, "rya")
    with pytest.raises(InputError, match=r"DRILLCORE_ENGINE is 'rya': did you mean ray\? Expected one of local, ray"):
        names.chosen("local")


def test_a_wrong_engine_is_found_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(names.VARIABLE, raising=False)
    write_settings(tmp_path, engine="locl")
    assert problems() == ["engine is 'locl': did you mean local? Expected one of local, ray"]
    write_settings(tmp_path, engine="local")
    assert problems() == []


@pytest.fixture
def silent():
    """The address of a port at which nobody listens, though it is taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def test_a_cluster_that_does_not_answer_is_said_before_ray_is_asked(monkeypatch, silent):
    """Ray would try for minutes."""
    monkeypatch.setenv("RAY_ADDRESS", silent)
    with pytest.raises(InputError, match=rf"no Ray answers at RAY_ADDRESS '{silent}' \(.*refused\): start one there"):
        address.check()
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("RAY_ADDRESS", f"localhost:{server.getsockname()[1]}")
        address.check()


@pytest.mark.parametrize("text", ["rubbish", ":6379", "host:", "host:x", "host:0", "host:65536", "ray://host:10001"])
def test_what_is_no_address_of_a_cluster_is_refused(monkeypatch, text):
    monkeypatch.setenv("RAY_ADDRESS", text)
    with pytest.raises(InputError, match=f"RAY_ADDRESS is '{text}', "):
        address.check()


@pytest.mark.parametrize("text", ["", "auto", "local"])
def test_an_address_of_this_machine_is_left_to_ray(monkeypatch, text):
    monkeypatch.setenv("RAY_ADDRESS", text)
    address.check()


@pytest.mark.parametrize("stage", ["check", "tokenize@tiny"])
def test_a_cluster_that_does_not_answer_is_named_by_each_stage_before_it_begins(tmp_path, silent, stage):
    if importlib.util.find_spec("ray") is None:
        pytest.skip("the extra ray is not installed")
    write_settings(tmp_path, CATALOG, engine="ray")
    words = ["stages.check"] if stage == "check" else commands(quick_params())[stage][0]
    variables = os.environ | {"PYTHONPATH": str(ROOT), "RAY_ADDRESS": silent}
    done = subprocess.run([sys.executable, "-m", *words], cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: no Ray answers at RAY_ADDRESS '{silent}'")


def run_without_ray(folder, *words, **environment):
    variables = os.environ | {"PYTHONPATH": str(ROOT), "DRILLCORE_THREADS": "1"} | environment
    command = [sys.executable, "-c", WITHOUT_RAY, *words]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)


@pytest.mark.parametrize("stage", ["check", "tokenize@tiny", "dump@tiny", "pool@tiny", "baseline@random", "geometry"])
def test_without_the_extra_the_first_line_says_what_to_install(tmp_path, stage):
    """Nothing that the stage reads is there: it looks at the engine first."""
    write_settings(tmp_path, CATALOG)
    others = {"check": "stages.check", "geometry": "stages.geometry --data data --out x.parquet --copy y.parquet"}
    words = others[stage].split() if stage in others else commands(quick_params())[stage][0]
    done = run_without_ray(tmp_path, *words, DRILLCORE_ENGINE="ray")
    assert done.returncode == 1
    assert done.stderr == "error: engine is ray, but ray is not installed: pip install -c constraints.txt -e '.[ray]'\n"


def test_without_the_extra_the_other_engine_runs(tmp_path):
    write_settings(tmp_path, CATALOG)
    done = run_without_ray(tmp_path, "stages.check", DRILLCORE_ENGINE="local")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_local_engine_starts_once_and_takes_an_item_when_it_is_asked_for(tmp_path, rng):
    table, taken = rng.standard_normal(4), []
    items = (taken.append(item) or item for item in range(5))
    results = LOCAL.each(Times(table, str(tmp_path), {}), items, "x")
    assert np.array_equal(next(results), table * 0)
    assert taken == [0]
    assert np.array_equal(list(results), [table * item for item in range(1, 5)])
    assert len(list(tmp_path.glob("start-*"))) == 1
    assert LOCAL.once(folder) == os.getcwd()


def test_the_next_item_begins_before_a_promised_result_is_there(tmp_path):
    assert list(LOCAL.each(Promised(str(tmp_path)), range(3), "x")) == [0, -1, -2]
    lines = (tmp_path / "order").read_text().splitlines()
    assert lines.index("begin 1") < lines.index("end 0")
    assert lines.index("begin 2") < lines.index("end 1")
    for items, said in (([1, 99], "later"), ([99, 1], "later"), ([98], "at once")):
        with pytest.raises(InputError, match=said):
            list(LOCAL.each(Promised(str(tmp_path)), items, "x"))


def test_what_the_local_engine_cannot_start_is_said_as_it_is():
    with pytest.raises(InputError, match="nothing works: try another"):
        list(LOCAL.each(NoStart(), [1], "x"))
