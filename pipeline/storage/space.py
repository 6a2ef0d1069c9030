"""Room on the disk: asked for before a dump, and explained when it ends."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.base.errors import InputError

FULL = (errno.ENOSPC, errno.EDQUOT)
"""what the system says where a disk is full, or a quota is used up"""
MARGIN = 1.05
"""what a dump must find free, as a multiple of what it writes"""


@contextmanager
def full_disk_explained(folder: object) -> Iterator[None]:
    """Turn the system's error for a full disk into one that says what is left and what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise InputError(
            f"the disk of {folder} is full: the shards that were finished are kept there. Free some space "
            "(python -m stages.clean shows what the scratch store holds) and run again, or keep less "
            "(dump.layers, or dump.keep: pooled)"
        ) from error


def writable(out: Path) -> Path:
    """The nearest folder at or above `out` that exists. Raises InputError when `out` cannot be made there."""
    parent = next(path for path in [out.absolute(), *out.absolute().parents] if path.exists())
    if not parent.is_dir():
        raise InputError(f"{out} cannot be a folder: {parent} is a file. Remove it, or give another place")
    if not os.access(parent, os.W_OK):
        raise InputError(f"{out} cannot be written: {parent} does not allow it. Change its permissions")
    return parent


def check_space(folder: Path, needed: int, out: Path, total: int) -> None:
    """Raise InputError when a disk is too small.

    That of `folder` must have the bytes still `needed` and 5 % more; that of `out`, where it is another, the `total`.
    """
    free, needed_there, needed_in_all = shutil.disk_usage(folder).free, MARGIN * needed, MARGIN * total
    if needed_there > free:
        raise InputError(
            f"the dump needs {needed_there / 1e9:.2f} GB more, with 5 % to spare, and the disk of {folder} has "
            f"{free / 1e9:.2f} GB: free some space, keep fewer layers (dump.layers: a list, or every n-th), or keep "
            "statistics instead of tokens (dump.keep: pooled)"
        )
    parent = writable(out)
    if parent.stat().st_dev != folder.stat().st_dev and needed_in_all > shutil.disk_usage(parent).free:
        raise InputError(
            f"{out} lies on another disk than {folder}, so shards are copied, and it has not the "
            f"{needed_in_all / 1e9:.2f} GB for them: free some space"
        )
