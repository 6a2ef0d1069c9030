"""The shards of a key in a folder that all workers see: a local disk, or a mount that machines share.

A shard is written under a temporary name, flushed to the disk, and given its name only after a receipt, its length and
its sha256, lies beside it. So a shard with its name was finished. Whether it still is what was written is checked by
whoever claims it.
"""

import errno
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from pipeline.base.errors import InputError
from pipeline.base.files import replacing, write_text
from pipeline.storage import locks, space
from pipeline.storage.contract import LOCATION, Receipt

CACHE = Path(".dvc/cache")
"""where DVC keeps results, as hard links where the file system has them"""
NO_LINKS = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS)
"""what the system says where it cannot make a hard link: another disk, or a file system without them"""
NOW = fcntl.LOCK_NB


@dataclass(frozen=True)
class Folder:
    """The folder of a key."""

    path: Path

    trusted = False
    poll = 0.5

    def __str__(self) -> str:
        return str(self.path)

    @contextmanager
    def held(self) -> Iterator[None]:
        """While a worker is at it: any number of them, but nobody who clears the folder. InputError while one does."""
        lock = locks.take(self.path / "lock", fcntl.LOCK_SH | NOW)
        if lock is None:
            raise InputError(f"{self} is being cleared: run again once that is over")
        with lock:
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While nobody else is at it. InputError while a worker is, with its process."""
        lock = locks.take(self.path / "lock", fcntl.LOCK_EX | NOW)
        if lock is None:
            held = [claim.read_text() for claim in sorted(self.path.glob("*.claim")) if locks.is_held(claim)]
            raise InputError(
                f"{' and '.join(dict.fromkeys(held)) or 'another process'} is writing or clearing this very dump "
                f"({self}): wait for it, or stop it"
            )
        with lock:
            yield

    def claim(self, name: str) -> "FolderClaim | None":
        """Claim a shard; None while another worker has it. A claim ends with its process."""
        lock = locks.take(self._lock_of(name), fcntl.LOCK_EX | NOW)
        if lock is None:
            return None
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}")
        lock.flush()
        return FolderClaim(self.path / name, lock)

    def claimed(self, name: str) -> bool:
        """Whether a worker has a shard."""
        return locks.is_held(self._lock_of(name))

    def _lock_of(self, name: str) -> Path:
        return self.path / f"{name}.claim"

    def receipts(self, names: Sequence[str]) -> dict[str, Receipt]:
        """Those of shards that are there by name and size."""
        found = {}
        for name in names:
            path = self.path / name
            try:
                receipt = json.loads(receipt_path(path).read_text())
                if path.stat().st_size == receipt["bytes"]:
                    found[name] = Receipt(bytes=receipt["bytes"], sha256=receipt["sha256"])
            except (OSError, ValueError, KeyError, TypeError):
                continue  # `finished` says why
        return found

    @property
    def here(self) -> Path:
        """The folder in which its shards are written: itself."""
        return self.path

    def check_space(self, needed: int, out: Path, total: int, shard: int) -> None:
        """Raise InputError where a disk has no room for the bytes still `needed`, or for the `total` at `out`."""
        space.check_space(self.path, needed, out, total)

    def published(self, names: Sequence[str], out: Path) -> bool:
        """Whether the folder `out` has exactly these shards: links of those here, or copies of their size."""
        if {path.name for path in out.glob("*.arrow")} != set(names) or (out / LOCATION).exists():
            return False
        files = [((out / name).stat(), (self.path / name).stat()) for name in names]
        linked = all(os.path.samestat(there, here) for there, here in files)
        on_another_disk = all(there.st_dev != here.st_dev for there, here in files)
        return linked or (on_another_disk and all(there.st_size == here.st_size for there, here in files))

    def publish(self, names: Sequence[str], out: Path, facts: Mapping[str, Any]) -> None:
        """Give the folder `out` exactly these shards, as hard links where the file system has them, else as copies.

        Claims that nobody holds are of workers that were killed when a shard had its name.
        """
        for left in self.path.glob("*.claim"):
            if lock := locks.take(left, fcntl.LOCK_EX | NOW):
                with lock:
                    left.unlink()
        out.mkdir(parents=True, exist_ok=True)
        for stale in (*out.glob("*.arrow"), out / LOCATION):
            stale.unlink(missing_ok=True)
        for name in names:
            try:
                os.link(self.path / name, out / name)
            except OSError as error:
                if error.errno not in NO_LINKS:
                    raise
                with space.full_disk_explained(out), replacing(out / name) as part:
                    shutil.copyfile(self.path / name, part)


class FolderClaim:
    """A shard of a folder that is ours to make."""

    def __init__(self, path: Path, lock: TextIO) -> None:
        self.path, self.lock = path, lock
        self.part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
        for left in path.parent.glob(f"{path.name}.*.part"):  # by a process that was killed
            left.unlink(missing_ok=True)

    def finished(self) -> Receipt | None:
        """The receipt, if the shard is there and what was written; what is not is taken away."""
        return finished(self.path)

    def renew(self) -> None:
        """Nothing: the lock is ours as long as we live."""

    def publish(self, receipt: Receipt) -> None:
        """Flush the shard to the disk, write the receipt, give it its name."""
        with self.part.open("rb") as file:
            os.fsync(file.fileno())
        write_text(receipt_path(self.path), json.dumps(receipt))
        self.part.rename(self.path)

    def release(self) -> None:
        """Leave the shard to others; what is unfinished is removed."""
        if not self.lock.closed:
            self.part.unlink(missing_ok=True)
            Path(self.lock.name).unlink(missing_ok=True)
            self.lock.close()


def receipt_path(path: Path) -> Path:
    """Where the receipt of a shard lies."""
    return path.with_suffix(".json")


def finished(path: Path) -> Receipt | None:
    """The receipt of a finished shard, or None: there is none, or it is not what was written.

    What is not is said on standard error and taken away, also from DVC's cache, where a hard link is the same file: DVC
    would give it back in place of the shard that is made again.
    """
    if not path.exists():
        return None
    try:
        receipt = json.loads(receipt_path(path).read_text())
        size, wanted = path.stat().st_size, receipt["bytes"]
        with path.open("rb") as file:
            if size != wanted:
                problem = f"has {size} of {wanted} bytes"
            elif hashlib.file_digest(file, "sha256").hexdigest() != receipt["sha256"]:
                problem = "is not what was written (another sha256)"
            else:
                return receipt
    except (OSError, ValueError, KeyError, TypeError):
        problem = "has no receipt of its own"
    print(f"{path} {problem}: it is made again", file=sys.stderr)
    for name in (*other_names(path, CACHE), path):
        name.unlink()
    return None


def other_names(path: Path, root: Path) -> list[Path]:
    """The files below a folder that are hard links of a file."""
    status = path.stat()
    if status.st_nlink == 1:
        return []
    names = (Path(folder) / name for folder, _, names in os.walk(root) for name in names)
    return [name for name in names if name != path and os.path.samestat(name.lstat(), status)]
