"""Numbers on disk against the same numbers in memory."""

import pickle

import numpy as np
import pytest

from pipeline.formats.arrays import OnDisk, each_once, on_disk


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


def test_numbers_on_disk_are_those_in_memory(tmp_path, rng):
    numbers = rng.integers(-9, 9, 100).astype(np.int32)
    stored = on_disk(np.split(numbers, [1, 1, 40]), tmp_path)
    assert list(tmp_path.iterdir()) == [], "the file has no name"
    assert (type(stored), stored.dtype) == (np.ndarray, np.int32)
    assert np.array_equal(stored, numbers)
    with pytest.raises(ValueError, match="read-only"):
        stored[0] = 1
    buffers = []
    assert len(pickle.dumps(stored, protocol=5, buffer_callback=buffers.append)) < 200, "a view, where memory is shared"
    assert buffers[0].raw().nbytes == numbers.nbytes


def test_no_numbers_on_disk(tmp_path):
    assert on_disk([np.empty(0, np.float32)], tmp_path).tolist() == []


@pytest.mark.parametrize(
    ("ids", "whole"),
    [([0], True), ([2, 0, 1], True), ([], False), ([1], False), ([0, 0], False), ([0, 2], False), ([1, -1], False)],
)
def test_ids_are_each_there_once(ids, whole):
    assert each_once(np.array(ids, dtype=np.int64)) == whole
