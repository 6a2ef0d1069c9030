"""Which commit a page says it was made from."""

import subprocess

import pytest

from pipeline.page.checkout import commit


@pytest.fixture
def repository(tmp_path):
    (tmp_path / "cost").mkdir()
    for name in ("a.txt", "dvc.lock", "cost/dvc.lock"):
        (tmp_path / name).write_text("as it was")
    who = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    for words in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "study"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


def test_the_commit_is_named_and_whether_something_else_is_not_in_it(repository):
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repository, capture_output=True, text=True).stdout[:12]
    (repository / "new.txt").write_text("not of git")
    for name in ("dvc.lock", "cost/dvc.lock"):  # what a run writes itself
        (repository / name).write_text("another run")
    assert commit(repository) == head
    (repository / "a.txt").write_text("changed")
    assert commit(repository) == f"{head}, and changes that are not committed"


def test_without_git_nothing_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit(tmp_path) == ""
    monkeypatch.setenv("PATH", "")
    assert commit(tmp_path) == ""
