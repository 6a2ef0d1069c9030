"""Every stage on damaged inputs: one line that names the file and the stage to run again, exit status 1, nothing lost.

What a module says of bad input stands beside its own tests; here is what all stages have in common.
"""

import re
import shutil
from pathlib import Path

import pytest
import torch

from tests.helpers import contents
from tests.study import commands, quick_params, run_all, run_stage, write_settings

CELLS = commands(quick_params())


def spoil_cut(data, rng):
    return data[: len(data) // 2 - 1]


def spoil_empty(data, rng):
    return b""


def spoil_foreign(data, rng):
    return b"something else altogether\n" * 50


def spoil_flipped(data, rng):
    at = int(rng.integers(len(data)))
    return data[:at] + bytes([data[at] ^ (1 << int(rng.integers(8)))]) + data[at + 1 :]


def spoil_missing(data, rng):
    return None


DAMAGE = [spoil_cut, spoil_empty, spoil_foreign, spoil_flipped, spoil_missing]


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A study in which all stages have run."""
    folder = tmp_path_factory.mktemp("study")
    write_settings(folder)
    threads = torch.get_num_threads()
    run_all(folder)
    yield folder
    torch.set_num_threads(threads)


@pytest.fixture
def study(finished, tmp_path, monkeypatch):
    """A copy of the finished study."""
    shutil.copytree(finished, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def without_digests(files):
    """Files without the sha256 of data that a page names: a flipped bit that carries nothing has another, too."""
    return {name: re.sub(rb"\b[0-9a-f]{12,}\b", b"", data) for name, data in files.items()}


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__.removeprefix("spoil_"))
@pytest.mark.parametrize("cell", CELLS)
def test_a_damaged_input_is_one_line_and_nothing_is_lost(study, cell, damage, rng, capfd):
    words, deps, outs = CELLS[cell]
    before = without_digests(contents(*outs))
    assert before
    for file in [file for dep in deps for file in contents(dep) if not file.startswith("data/demo")]:
        intact = Path(file).read_bytes()
        spoiled = damage(intact, rng)
        if damage is spoil_flipped and Path(file).suffix in (".json", ".csv"):
            continue  # for people, who may edit them; DVC sees a change
        Path(file).unlink()
        if spoiled is not None:
            Path(file).write_bytes(spoiled)
        capfd.readouterr()
        status = run_stage(words)
        error = capfd.readouterr().err
        assert "Traceback" not in error, error
        if status == 0:  # a file that the stage does not need, or a bit that carries nothing
            assert without_digests(contents(*outs)) == before, f"{file} was used as it was"
        else:
            assert status == 1
            lines = [line for line in error.splitlines() if line.startswith("error: ")]
            assert len(lines) == 1, error
            assert Path(file).name in lines[0] or Path(file).parent.as_posix() in lines[0], lines
            assert "dvc repro" in lines[0], lines
            assert without_digests(contents(*outs)) == before, (
                f"{file} ended the stage, and the earlier results are gone"
            )
        Path(file).unlink(missing_ok=True)
        Path(file).write_bytes(intact)


@pytest.mark.parametrize("cell", CELLS)
def test_a_stage_runs_again_to_the_same_bytes(study, cell):
    words, _, outs = CELLS[cell]
    before = contents(*outs)
    assert run_stage(words) == 0
    assert contents(*outs) == before


def test_another_models_results_in_place_of_a_models_own_are_named(study, capfd):
    """Everything that is there of `other` under the name of `tiny`: a whole file, and of something else."""
    write_settings(study, models=["tiny", "other"])
    for words, _, _ in commands(quick_params() | {"models": ["tiny", "other"]}).values():
        if "other" in words:
            assert run_stage(words) == 0
    for cell in ("dump@tiny", "fit@tiny", "pool@tiny", "sweep@tiny", "score", "compare", "report"):
        words, deps, outs = CELLS[cell]
        for file in [file for dep in deps for file in contents(dep) if "tiny" in file]:
            theirs, intact = Path(file.replace("tiny", "other")), Path(file).read_bytes()
            if not theirs.exists() or theirs.read_bytes() == intact:
                continue
            before = contents(*outs)
            Path(file).unlink()
            Path(file).write_bytes(theirs.read_bytes())
            capfd.readouterr()
            status = run_stage(words)
            error = capfd.readouterr().err
            assert "Traceback" not in error
            if status == 0:
                assert contents(*outs) == before, f"{cell} used {theirs} as {file}"
            else:
                assert Path(file).name in error or "tiny" in error
            Path(file).unlink()
            Path(file).write_bytes(intact)
