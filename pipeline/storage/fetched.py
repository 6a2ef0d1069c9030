"""Files of a store that are read here: fetched once, compared with their sha256, and kept up to a limit."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.base.errors import InputError
from pipeline.storage import locks, space
from pipeline.storage.remote import explained, filesystem, get

FETCHED = Path(".drillcore/fetched")
"""a file is found by its sha256"""
LIMIT = 50.0
"""10^9 bytes that are kept unless DRILLCORE_FETCHED_GB says otherwise: the states of a study, on the disk of a laptop.

A stage that reads a larger dump fetches all of it in each pass, whatever is kept: it goes from the first shard to the
last, and the oldest are dropped first.
"""
MARK = 0
"""the time of the last change of a file that was compared with its sha256: whoever writes to it later changes that"""


def fetched(url: str, size: int, sha256: str, stage: str) -> Path:
    """A file of a store as one of this machine. Whoever has it open keeps it when it is dropped.

    InputError for one that is not there, or that is not what `stage` (such as dump@demo) wrote.
    """
    path, limit = FETCHED.absolute() / f"{sha256}{Path(url).suffix}", limit_in_bytes()
    part = path.with_name(f"{path.name}.part")
    while not is_kept(path, size):
        lock = locks.take(part, fcntl.LOCK_EX)  # others that want the same file wait for it
        assert lock is not None
        with lock:
            if is_kept(path, size):
                part.unlink()
            else:
                fetch(url, part, size, sha256, stage)
                part.rename(path)
                drop_oldest(path, limit)
    return path


def fetch(url: str, part: Path, size: int, sha256: str, stage: str) -> None:
    """Download a file, and mark it as what was written. What fails leaves nothing."""
    again = f"make it again (dvc repro -f -s {stage})"
    try:
        with room_explained(), explained(url, missing=again):
            fs, there = filesystem(url)
            if (found := fs.info(there)["size"]) != size:
                problem = f"{found} of {size} bytes"
            else:
                problem = "" if get(fs, there, part, size) == sha256 else "another sha256"
        if problem:
            raise InputError(f"{url} is not what was written ({problem}): remove it there, then {again}")
        used_now(part)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def is_kept(path: Path, size: int) -> bool:
    """Whether a file is there and was not changed. It counts as used then."""
    try:
        status = path.stat()
        kept = (status.st_size, status.st_mtime_ns) == (size, MARK)
        if kept:
            used_now(path)
    except FileNotFoundError:
        return False
    return kept


def used_now(path: Path) -> None:
    """Note in a file that it is what was written, and was used now."""
    os.utime(path, ns=(time.time_ns(), MARK))


@contextmanager
def room_explained() -> Iterator[None]:
    """Say how to keep less where the disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno not in space.FULL:
            raise
        raise InputError(
            f"the disk of {FETCHED} is full: free some space, or keep less of what is fetched (DRILLCORE_FETCHED_GB)"
        ) from error


def contents() -> list[tuple[Path, os.stat_result]]:
    """What is kept, and what is being fetched; that which was not used for longest first."""
    found = []
    for path in FETCHED.glob("*"):
        with suppress(FileNotFoundError):  # dropped meanwhile
            found.append((path, path.stat()))
    return sorted(found, key=lambda file: file[1].st_atime_ns)


def limit_in_bytes() -> float:
    """How much is kept."""
    given = os.environ.get("DRILLCORE_FETCHED_GB") or LIMIT
    with suppress(ValueError):
        if (limit := float(given)) >= 0:
            return limit * 1e9
    raise InputError(f"DRILLCORE_FETCHED_GB is {given!r}, expected a number of GB, 0 or more")


def drop_oldest(keep: Path, limit: float) -> None:
    """Remove what was not used for longest until the rest is within the limit; one file always stays."""
    files = contents()
    used = sum(status.st_size for _, status in files)
    for path, status in files:
        if used <= limit:
            return
        if path.name != keep.name and drop(path):
            used -= status.st_size


def drop(path: Path) -> bool:
    """Remove a file, unless a process is fetching it -> whether it is gone."""
    if path.suffix == ".part":  # a process that was killed has left it, if nobody holds it
        lock = locks.take(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if lock is None:
            return False
        with lock:
            path.unlink()
    else:
        path.unlink(missing_ok=True)
    return True
