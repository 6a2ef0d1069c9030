"""Files that appear whole or not at all."""

from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path):
    """Yield a temporary path beside `path`; it takes the place of `path` when the block ends without an exception.

    The folder is made if need be. An existing file is replaced, never written into: DVC hard-links results to its cache,
    and writing into a link would damage the cached copy.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        yield part
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)
