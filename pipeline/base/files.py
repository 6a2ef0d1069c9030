"""Files that appear whole or not at all."""

import errno
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FULL = "the disk is full, nothing was changed: free some space and run again"


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it takes the place of `path` when the block ends without an exception.

    The folder is made if need be. An existing file is replaced, never written into: DVC links results to its cache, and
    writing into a link would damage the cached copy.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        yield part
        part.rename(path)
    except OSError as error:
        if error.filename is None and _disk_is_full(error):  # the system names no file then
            raise OSError(errno.ENOSPC, FULL, str(path)) from error
        raise
    finally:
        part.unlink(missing_ok=True)


def _disk_is_full(error: OSError) -> bool:
    """Also where a library in Rust says it, which gives no number."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT) or "os error 28" in str(error)


def write_text(path: str | Path, text: str) -> None:
    """Text as a file in UTF-8."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """A value as JSON, indented, for people too; mappings keep their order, which splits and subsets need."""
    write_text(path, json.dumps(value, indent=2) + "\n")
