"""A stage that outlived its dvc and the same stage started anew do not write at the same time."""

import os
import subprocess
import sys

from pipeline.base.turns import taking_turns
from tests.helpers import ROOT

STAGE = """
import sys
from pathlib import Path
from pipeline.base import cli

def main() -> None:
    print("begins", flush=True)
    sys.stdin.read()
    Path("ends").touch()

cli.run(main)
"""


def stage(folder, name):
    """A process that DVC could have started, which works until its standard input is closed."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | ({"DVC_STAGE": name} if name else {})
    return subprocess.Popen(
        [sys.executable, "-c", STAGE], cwd=folder, env=environment, text=True, stdin=-1, stdout=-1, stderr=-1
    )


def test_the_same_stage_waits_for_the_one_that_runs_and_says_so_and_others_do_not(tmp_path):
    with stage(tmp_path, "dump@demo") as left:
        assert left.stdout.readline() == "begins\n"
        with stage(tmp_path, "dump@demo") as anew:
            line = anew.stderr.readline()
            assert line == f"dump@demo still runs, left by a dvc that was killed: waiting for process {left.pid}\n"
            for other in ("dump@other", None):
                with stage(tmp_path, other) as beside:
                    assert beside.communicate() == ("begins\n", "")
            (tmp_path / "ends").unlink()
            left.communicate()
            assert anew.stdout.readline() == "begins\n"
            assert (tmp_path / "ends").exists()


def test_a_stage_that_was_killed_holds_nothing(tmp_path):
    with stage(tmp_path, "pool@demo") as left:
        assert left.stdout.readline() == "begins\n"
        left.kill()
    with stage(tmp_path, "pool@demo") as anew:
        assert anew.communicate() == ("begins\n", "")


def test_without_dvc_nothing_is_held_and_nothing_is_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with taking_turns(None), taking_turns(None):
        assert list(tmp_path.iterdir()) == []
