"""NumPy and Arrow arrays that share memory, without pandas, and rows that lie on disk.

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


class OnDisk:
    """Rows (N, D) in a file without a name, for what may not fit into memory: written in order, looked up in any.

    What is looked up is a copy, and the pages of the file that it came from are given back at once. So what a process
    holds does not grow with the rows; the system keeps the file in memory as long as it has some to spare. The file
    lies in the working folder, since /tmp may be memory.
    """

    def __init__(self, parts: Iterable[np.ndarray], folder: str | Path = ".") -> None:
        """Parts (n, D) of one type, one behind the other; there is one at least."""
        with tempfile.TemporaryFile(dir=folder) as file:
            for part in parts:
                file.write(np.ascontiguousarray(part).data)
                dtype, width = part.dtype, part.shape[1]
            file.flush()
            self._pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._rows = np.frombuffer(self._pages, dtype).reshape(-1, width)
        self.shape = self._rows.shape

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        """Some rows (n,) -> (n, D)."""
        found = np.array(self._rows[rows])
        self._pages.madvise(mmap.MADV_DONTNEED)
        return found


Rows = np.ndarray | OnDisk
"""(N, D), in memory or on disk"""
