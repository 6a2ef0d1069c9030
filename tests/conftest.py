import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def testdata():
    """Folder of real data and real small weights, which are not part of this repository (DRILLCORE_TESTDATA)."""
    folder = Path(os.environ.get("DRILLCORE_TESTDATA") or Path(__file__).parents[2] / "shared/data")
    if not folder.is_dir():
        pytest.skip(f"no test material in {folder}: set DRILLCORE_TESTDATA to its folder")
    return folder
