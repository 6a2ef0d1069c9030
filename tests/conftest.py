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
