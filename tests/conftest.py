import hashlib
import os
import secrets
from pathlib import Path

import numpy as np
import pytest


def pytest_collection_modifyitems(items):
    """The slowest file first: with a process for each core, the others run beside it (--no-loadscope-reorder)."""
    items.sort(key=lambda item: item.path.name != "test_dvc.py")


@pytest.fixture(scope="session")
def testdata():
    """Folder of real data and real small weights, which are not part of this repository (DRILLCORE_TESTDATA)."""
    folder = Path(os.environ.get("DRILLCORE_TESTDATA") or Path(__file__).parents[2] / "shared/data")
    if not folder.is_dir():
        pytest.skip(f"no test material in {folder}: set DRILLCORE_TESTDATA to its folder")
    return folder


@pytest.fixture
def seed():
    """A fresh seed; DRILLCORE_SEED repeats one. It is shown with the output of a test that fails."""
    value = int(os.environ.get("DRILLCORE_SEED") or secrets.randbits(32))
    print(f"DRILLCORE_SEED={value}")
    return value


@pytest.fixture
def rng(seed):
    """A generator with a fresh seed."""
    return np.random.default_rng(seed)


class HubCache:
    """What the hub's clients have downloaded, without a network: a commit is a folder, a name a file that names it."""

    def __init__(self, folder):
        self.folder = folder

    def repository(self, repo, kind="model"):
        return self.folder / f"{kind}s--{repo.replace('/', '--')}"

    def commit(self, repo, files, name="main", kind="model"):
        """Add a commit that holds some files, {name: bytes}, and move a branch or tag to it -> the commit."""
        content = repr((repo, sorted(files.items()))).encode()
        commit = hashlib.sha1(content).hexdigest()
        for file, data in files.items():
            path = self.repository(repo, kind) / "snapshots" / commit / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        self.move(repo, commit, name, kind)
        return commit

    def move(self, repo, commit, name="main", kind="model"):
        """Let a branch or tag stand for a commit."""
        ref = self.repository(repo, kind) / "refs" / name
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text(commit)


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """The cache of the hub's clients, empty, and no network."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return HubCache(tmp_path / "hub")
