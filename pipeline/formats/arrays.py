"""NumPy and Arrow arrays that share memory, without pandas.

pa.array and Array.to_numpy do the same, but import pandas first, which costs each stage 0.3 s.
"""

import numpy as np
import pyarrow as pa


def to_numpy(array: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Numbers without gaps -> (n,), a view of their memory unless they come in several chunks."""
    return np.from_dlpack(array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array)


def to_arrow(values: np.ndarray) -> pa.Array:
    """Numbers (n,) -> an Arrow array that shares their memory."""
    values = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(values)])
