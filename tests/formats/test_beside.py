"""What lies in data/beside is of a study, or is said not to be."""

import json

import pytest

from pipeline.base.errors import InputError
from pipeline.formats import beside
from tests.helpers import ROOT, run

NOW = {"pairs": "p", "encoders": {"m": "k", "glove": "g"}}


@pytest.fixture
def copy(tmp_path):
    """A copy that was made of the study NOW."""
    path = tmp_path / "efficiency.csv"
    beside.begin(path)
    path.write_text("some table")
    beside.finish(path, NOW)
    return path


def test_a_copy_of_this_study_is_taken(copy):
    assert beside.unlike(copy, NOW) == {}
    assert beside.unlike(copy, NOW | {"encoders": {"m": "k"}}) == {}


def test_a_copy_of_another_study_is_said_to_be_one(copy):
    assert beside.unlike(copy, NOW | {"pairs": "q"}) == dict.fromkeys(["m", "glove"], "it was measured on other pairs")
    others = {"m": "another", "glove": "g", "new": "n"}
    assert beside.unlike(copy, NOW | {"encoders": others}) == {
        "m": "it has changed since it was measured",
        "new": "nobody has measured it",
    }


def test_a_copy_that_is_not_there_or_not_finished(copy):
    beside.begin(copy)
    assert set(beside.unlike(copy, NOW).values()) == {"the last measurement did not end"}
    copy.unlink()
    assert set(beside.unlike(copy, NOW).values()) == {"nobody has measured it"}


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", json.dumps({"pairs": 1, "encoders": {}})])
def test_a_damaged_note_names_the_command(copy, text):
    copy.with_name("efficiency-study.json").write_text(text)
    with pytest.raises(
        InputError, match=r"efficiency-study\.json is damaged: make it anew with dvc --cd cost repro -f"
    ):
        beside.unlike(copy, NOW)


def test_a_study_is_its_pairs_and_what_was_made_of_its_encoders(tmp_path):
    for name in ("pairs/pairs.parquet", "pairs/sentences.parquet", "baselines/b/info.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"{}")
    folders = [tmp_path / name for name in ("pairs", "manifests", "baselines")]
    first = beside.study(*folders, ["b", "nowhere"])
    assert list(first["encoders"]) == ["b"]
    (tmp_path / "pairs/sentences.parquet").write_bytes(b"other")
    second = beside.study(*folders, ["b"])
    assert first["pairs"] != second["pairs"]
    assert first["encoders"] == second["encoders"]
    (tmp_path / "baselines/b/info.json").write_text("[]")
    assert beside.study(*folders, ["b"])["encoders"] != first["encoders"]


def test_the_folder_is_in_every_clone_and_what_lies_there_in_none():
    assert run(ROOT, "git", "ls-files", "data/beside").stdout.split() == ["data/beside/.gitignore"]
    for name in beside.FILES:
        assert run(ROOT, "git", "check-ignore", f"data/beside/{name}").returncode == 0
