"""What DVC says, as the command `drillcore` says it."""

import json
import os
import re

import pytest

from pipeline.base.errors import InputError
from pipeline.command import study
from tests.helpers import run


def test_another_dvc_in_this_folder_is_named_and_no_lock_is_to_be_removed(tmp_path, monkeypatch):
    """This process stands for it: DVC notes who writes what."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").write_text("stages: {one: {cmd: echo > out, outs: [out]}}")
    run(tmp_path, "git", "init", "-q")
    study.dvc("init", "-q")
    held = {"write": {str(tmp_path / "out"): {"pid": os.getpid(), "cmd": "dvc repro"}}, "read": {}}
    (tmp_path / ".dvc/tmp/rwlock").write_text(json.dumps(held))
    expected = f"dvc repro is running in this folder (process {os.getpid()}): wait for its end"
    with pytest.raises(InputError, match=re.escape(expected)):
        study.dvc("repro", "--dry")
