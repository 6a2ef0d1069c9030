"""Rows on disk against the same rows in memory."""

import numpy as np
import pytest

from pipeline.formats.arrays import OnDisk


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_on_disk_are_those_in_memory(tmp_path, rng, dtype):
    rows = rng.standard_normal((100, 3)).astype(dtype)
    stored = OnDisk(np.array_split(rows.T.copy().T, [1, 40, 77]), tmp_path)  # not contiguous
    assert list(tmp_path.iterdir()) == [], "the file has no name"
    assert (stored.shape, len(stored)) == ((100, 3), 100)
    for some in (rng.integers(0, 100, 250), slice(5, 60), np.array([], dtype=np.int64)):
        found = stored[some]
        assert found.dtype == dtype
        assert np.array_equal(found, rows[some])
    found[:] = 0  # a copy
    assert np.array_equal(stored[:], rows)
