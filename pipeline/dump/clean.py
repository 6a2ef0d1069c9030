"""What the scratch store holds, and clearing it: the stage `clean`."""

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pipeline.base.errors import one_of
from pipeline.storage import fetched
from pipeline.storage.folder import Folder
from pipeline.storage.places import dumps_here

FETCHED = "fetched"


@dataclass(frozen=True)
class StoredDump:
    """A key in the store."""

    key: str
    shards: int
    """finished ones"""
    bytes: int
    """of all shards, finished or not"""
    shared: int
    """bytes that another name still holds, which clearing would not free"""
    used: datetime
    """when a shard was last added"""

    def __str__(self) -> str:
        when = self.used.isoformat(" ", "minutes")
        size = f"{self.bytes / 1e6:10.1f} MB, {self.shared / 1e6:.1f} of them linked elsewhere"
        return f"{self.key}  {self.shards:4d} shards  {size}  {when}"


def contents(store: Path) -> list[StoredDump]:
    """Every key in the store, oldest first."""
    dumps = []
    for folder in store.glob("*/"):
        with contextlib.suppress(FileNotFoundError):  # cleared meanwhile
            dumps.append(_stored(folder))
    return sorted(dumps, key=lambda dump: dump.used)


def _stored(folder: Path) -> StoredDump:
    names, files = [file for file in folder.iterdir() if file.suffix in (".arrow", ".part")], []
    for name in names:
        with contextlib.suppress(FileNotFoundError):  # a dump has given the shard its name meanwhile
            files.append(name.stat())
    return StoredDump(
        key=folder.name,
        shards=sum(name.suffix == ".arrow" for name in names),
        bytes=sum(file.st_size for file in files),
        shared=sum(file.st_size for file in files if file.st_nlink > 1),
        used=datetime.fromtimestamp(folder.stat().st_mtime),
    )


def summary(dumps: Sequence[StoredDump]) -> str:
    """What all of them take of the disk, in words."""
    total, shared = sum(dump.bytes for dump in dumps), sum(dump.shared for dump in dumps)
    return f"{total / 1e6:.1f} MB; without them the disk has {(total - shared) / 1e6:.1f} MB more"


def clear(key: str, store: Path) -> None:
    """Remove the folder of a key. Raises InputError while a worker is at it."""
    folder = Folder(store / key)
    with folder.alone():
        shutil.rmtree(folder.path)


def tidied(remove: Sequence[str], everything: bool) -> Iterator[str]:
    """What the store holds, then the keys that are removed, a line each. InputError for an unknown key.

    What was fetched from a store elsewhere counts as the key `fetched`. Nothing is ever removed elsewhere.
    """
    store = dumps_here()
    dumps, files = contents(store), fetched.contents()
    keys = [dump.key for dump in dumps] + [FETCHED] * bool(files)
    for key in remove:
        one_of(key, keys, f"a key to remove from {store}")
    yield from map(str, dumps)
    yield f"{store}: {len(dumps)} dumps, {summary(dumps)}"
    if files:
        yield f"{FETCHED}: {len(files)} files of a store elsewhere, {sum(s.st_size for _, s in files) / 1e6:.1f} MB"
    for key in keys if everything else remove:
        if key == FETCHED:
            shutil.rmtree(fetched.FETCHED)
        else:
            clear(key, store)
        yield f"removed {key}"
