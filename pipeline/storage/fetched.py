"""Files of a store that are read here: fetched once, compared with their sha256, and kept up to a limit."""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.base.errors import InputError
from pipeline.storage.remote import explained, filesystem

FETCHED = Path(".drillcore/fetched")
"""a file is found by its sha256"""
LIMIT = 50.0
"""10^9 bytes that are kept unless DRILLCORE_FETCHED_GB says otherwise: the states of a study, on the disk of a laptop.

A stage that reads a larger dump fetches all of it in each pass, whatever is kept: it goes from the first shard to the
last, and the oldest are dropped first.
"""


def fetched(url: str, size: int, sha256: str) -> Path:
    """A file of a store as one of this machine.

    InputError for one that is not there, or that is not what was written. Whoever has it open keeps it when it is
    dropped.
    """
    path = FETCHED / f"{sha256}{Path(url).suffix}"
    with suppress(FileNotFoundError):
        if path.stat().st_size == size:
            os.utime(path)  # it was used
            return path
    FETCHED.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        with explained(url), room_explained():
            fs, there = filesystem(url)
            fs.get_file(there, str(part))
        with part.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise InputError(
                    f"{url} is not what was written ({part.stat().st_size} of {size} bytes, or another sha256): remove "
                    "it and its receipt there, and run the stage that made it again (dvc repro -f -s STAGE)"
                )
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)
    drop_oldest(keep=path)
    return path


@contextmanager
def room_explained() -> Iterator[None]:
    """Say how to keep less where the disk is full."""
    try:
        yield
    except OSError as error:
        if not error.errno or "No space" not in os.strerror(error.errno):
            raise
        raise InputError(
            f"the disk of {FETCHED} is full: free some space, or keep less of what is fetched (DRILLCORE_FETCHED_GB)"
        ) from error


def contents() -> list[tuple[Path, os.stat_result]]:
    """What is kept, oldest first."""
    found = []
    for path in FETCHED.glob("*"):
        with suppress(FileNotFoundError):  # dropped meanwhile
            found.append((path, path.stat()))
    return sorted(found, key=lambda file: file[1].st_mtime_ns)


def drop_oldest(keep: Path) -> None:
    """Remove what was not used for longest until the rest is within the limit; one file always stays."""
    try:
        limit = float(os.environ.get("DRILLCORE_FETCHED_GB", LIMIT)) * 1e9
    except ValueError:
        raise InputError(f"DRILLCORE_FETCHED_GB is {os.environ['DRILLCORE_FETCHED_GB']!r}, expected a number") from None
    files = contents()
    used = sum(status.st_size for _, status in files)
    for path, status in files:
        if used <= limit:
            return
        if path != keep and path.suffix != ".part":
            path.unlink(missing_ok=True)
            used -= status.st_size
