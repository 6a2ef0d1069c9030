"""What docs/howto/readouts.md adds to the code is a readout like the others."""

import re
import shutil
import sys

from tests.helpers import ROOT, run


def test_the_readout_that_the_page_adds_passes_its_row(tmp_path):
    (diff,) = re.findall(r"```diff\n(.*?)```", (ROOT / "docs/howto/readouts.md").read_text(), re.DOTALL)
    for folder in ("pipeline", "tests/readouts"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("tests/conftest.py", "tests/helpers.py", "pyproject.toml"):
        shutil.copy(ROOT / file, tmp_path / file)
    (tmp_path / "diff").write_text(diff)
    run(tmp_path, "git", "apply", "diff")
    test = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/readouts/test_registry.py"]
    done = run(tmp_path, *test, "-k", "block_output or names")
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 5, done.stdout
    assert "failed" not in done.stdout
