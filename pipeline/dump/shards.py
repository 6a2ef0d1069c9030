"""One shard on its way to the disk, and whether one that is there is what was written.

A shard is written under a temporary name, flushed to the disk, and given its name only after a receipt, its length and
its sha256, lies beside it. So a shard with its name was finished. Whether it still is what was written is checked
before it is used again.
"""

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import BinaryIO, TypedDict

import pyarrow as pa

from pipeline.base.files import write_text

CACHE = Path(".dvc/cache")
"""where DVC keeps results, as hard links where the file system has them"""


class Receipt(TypedDict):
    """What lies beside a finished shard."""

    bytes: int
    sha256: str


class Hashing:
    """A file to write to that keeps the sha256 and the length of what went through it."""

    closed = False

    def __init__(self, sink: BinaryIO) -> None:
        self.sink, self.sha256, self.bytes = sink, hashlib.sha256(), 0

    def write(self, data: bytes) -> None:
        """Write anything that has bytes."""
        self.sink.write(data)
        self.sha256.update(data)
        self.bytes += len(memoryview(data).cast("B"))

    def flush(self) -> None:
        """Hand what was written to the system."""
        self.sink.flush()


class Shard:
    """One shard being written.

    It has its name once `finish` has returned; without it nothing is left but a .part file, which the next run writes
    over.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path, self.part = path, path.with_name(path.name + ".part")
        self.file = self.part.open("wb")
        self.hashing = Hashing(self.file)
        self.writer = pa.ipc.new_file(self.hashing, schema)

    def finish(self) -> Receipt:
        """Flush to the disk, write the receipt, take the name. What fails leaves nothing."""
        try:
            self.writer.close()
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()
            receipt: Receipt = {"bytes": self.hashing.bytes, "sha256": self.hashing.sha256.hexdigest()}
            write_text(receipt_path(self.path), json.dumps(receipt))
            self.part.rename(self.path)
        except BaseException:
            self.abandon()
            raise
        return receipt

    def abandon(self) -> None:
        """Remove what is there of a shard that was not finished; of no effect on one that was."""
        try:
            self.file.close()  # flushes, which a full disk refuses
        finally:
            self.part.unlink(missing_ok=True)


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
