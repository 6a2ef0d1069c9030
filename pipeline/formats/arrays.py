"""NumPy and Arrow arrays that share memory, without pandas, and numbers that lie on disk.

pa.array and Array.to_numpy do the same as the first two, but import pandas first, which costs each stage 0.3 s.
"""

import mmap
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa


def to_numpy(array: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Numbers without gaps -> (n,), a view of their memory unless they come in several chunks."""
    return np.from_dlpack(array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array)


def to_arrow(values: np.ndarray) -> pa.Array:
    """Numbers (n,) -> an Arrow array that shares their memory."""
    values = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(values)])


def each_once(ids: np.ndarray) -> bool:
    """Whether ids (n,) are 0 to n - 1 in any order, each once, and there are any."""
    if not len(ids) or ids.min() < 0 or ids.max() >= len(ids):
        return False
    seen = np.zeros(len(ids), dtype=bool)
    seen[ids] = True
    return bool(seen.all())


def on_disk(parts: Iterable[np.ndarray], folder: str | Path = ".") -> np.ndarray:
    """Numbers that may not fit into memory: parts (n,) of one type, one behind the other -> (N,), to be read alone.

    They are the pages of a file without a name. What was read of them stays in memory as long as the system has some to
    spare; see `OnDisk`, which gives it back at once.
    """
    pages, last = _written(parts, folder)
    return np.frombuffer(pages or b"", last.dtype)


class OnDisk:
    """Rows (N, D) in a file without a name, for what may not fit into memory: written in order, looked up in any.

    What is looked up is a copy, and the pages of the file that it came from are given back at once. So what a process
    holds does not grow with the rows; the system keeps the file in memory as long as it has some to spare. The file
    lies in the working folder, since /tmp may be memory.
    """

    def __init__(self, parts: Iterable[np.ndarray], folder: str | Path = ".") -> None:
        """Parts (n, D) of one type, one behind the other; there is one at least."""
        pages, last = _written(parts, folder)
        assert pages is not None, "there is one row at least"
        self._pages = pages
        self._rows = np.frombuffer(self._pages, last.dtype).reshape(-1, last.shape[1])
        self.shape = self._rows.shape

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        """Some rows (n,) -> (n, D)."""
        found = np.array(self._rows[rows])
        self._pages.madvise(mmap.MADV_DONTNEED)
        return found


def _written(parts: Iterable[np.ndarray], folder: str | Path) -> tuple[mmap.mmap | None, np.ndarray]:
    """Write parts (n, ...) to a file without a name -> its pages, None where it has none, and the last part."""
    with tempfile.TemporaryFile(dir=folder) as file:
        for part in parts:
            file.write(np.ascontiguousarray(part).data)
        file.flush()
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if file.tell() else None, part


Rows = np.ndarray | OnDisk
"""(N, D), in memory or on disk"""
