"""Where dumps are built: a folder for each key (contract C6) under .drillcore/dumps, in which a finished shard is never lost.

A shard is written under a temporary name, flushed to the disk, and given its name only after a record of its length and sha256
lies beside it, so a shard with its name was finished; whether it still is what was written is checked before it is used again.
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from pipeline.files import replacing

STORE = ".drillcore/dumps"


@contextmanager
def locked(folder):
    """Hold the folder of a key, made if need be. ValueError while another process holds it; the lock ends with its process."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not (folder / "lock").exists() or os.fstat(lock.fileno()).st_ino != (folder / "lock").stat().st_ino:
                raise BlockingIOError  # cleared between opening and locking: this is the lock of a folder that is gone
        except BlockingIOError:
            lock.seek(0)
            raise ValueError(f"process {lock.read().strip()} is writing or clearing this very dump ({folder}): wait for it, or stop it") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield folder


class Hashing:
    """A file to write to that keeps the sha256 and the length of what went through it."""

    closed = False

    def __init__(self, sink):
        self.sink, self.sha256, self.bytes = sink, hashlib.sha256(), 0

    def write(self, data):
        self.sink.write(data)
        self.sha256.update(data)
        self.bytes += len(memoryview(data).cast("B"))

    def flush(self):
        self.sink.flush()


class Shard:
    """One shard being written. It has its name once `finish` has returned; without it nothing is left but a .part file, which
    the next run writes over."""

    def __init__(self, path, schema):
        self.path, self.part = path, path.with_name(path.name + ".part")
        self.file = self.part.open("wb")
        self.hashing = Hashing(self.file)
        self.writer = pa.ipc.new_file(self.hashing, schema)

    def finish(self):
        """Flush to the disk, write the record, take the name -> the record {bytes, sha256}. What fails leaves nothing."""
        try:
            self.writer.close()
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()
            record = {"bytes": self.hashing.bytes, "sha256": self.hashing.sha256.hexdigest()}
            with replacing(_record(self.path)) as part:
                part.write_text(json.dumps(record))
            self.part.rename(self.path)
        except BaseException:
            self.abandon()
            raise
        return record

    def abandon(self):
        """Remove what is there of a shard that was not finished."""
        try:
            self.file.close()  # flushes, which a full disk refuses
        finally:
            self.part.unlink(missing_ok=True)


def _record(path):
    return path.with_suffix(".json")


def finished(path):
    """The record of a finished shard, or None: none there, or not what was written, which is said on standard error."""
    if not path.exists():
        return None
    try:
        record = json.loads(_record(path).read_text())
        size, wanted = path.stat().st_size, record["bytes"]
        with path.open("rb") as file:
            if size != wanted:
                problem = f"has {size} of {wanted} bytes"
            elif hashlib.file_digest(file, "sha256").hexdigest() != record["sha256"]:
                problem = "is not what was written (another sha256)"
            else:
                return record
    except (OSError, ValueError, KeyError, TypeError):
        problem = "has no record of its own"
    print(f"{path} {problem}: it is made again", file=sys.stderr)
    path.unlink()
    return None


@contextmanager
def full_disk_explained(folder):
    """Turn the system's error for a full disk into one that says what is left and what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ValueError(
            f"the disk of {folder} is full: the shards that were finished are kept there. Free some space (python -m stages.clean shows what the "
            "scratch store holds) and run again, or keep less (dump.layers, or dump.keep: pooled)"
        ) from error


def writable(out):
    """The nearest folder at or above `out` that exists. Raises NotADirectoryError or PermissionError when `out` cannot be made there."""
    parent = next(p for p in [Path(out).absolute(), *Path(out).absolute().parents] if p.exists())
    if not parent.is_dir():
        raise NotADirectoryError(f"{out} cannot be a folder: {parent} is a file")
    if not os.access(parent, os.W_OK):
        raise PermissionError(f"{out} cannot be written: {parent} does not allow it")
    return parent


def check_space(folder, needed, out, total):
    """Raise ValueError when the disk of `folder` has less than the bytes still needed and 5 % more, or the disk of `out`, where
    it is another, less than the total."""
    free, needed, total = shutil.disk_usage(folder).free, 1.05 * needed, 1.05 * total
    if needed > free:
        raise ValueError(
            f"the dump needs {needed / 1e9:.2f} GB more, with 5 % to spare, and the disk of {folder} has {free / 1e9:.2f} GB: free some space, "
            "keep fewer layers (dump.layers: a list, or every n-th), or keep statistics instead of tokens (dump.keep: pooled)"
        )
    parent = writable(out)
    if parent.stat().st_dev != Path(folder).stat().st_dev and total > shutil.disk_usage(parent).free:
        raise ValueError(f"{out} lies on another disk than {folder}, so shards are copied, and it has not the {total / 1e9:.2f} GB for them: free some space")


def publish(folder, names, out):
    """Give the folder `out` exactly these shards, as hard links where the file system has them, else as copies."""
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for stale in out.glob("*.arrow"):
        stale.unlink()
    for name in names:
        try:
            os.link(folder / name, out / name)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS):
                raise
            with full_disk_explained(out), replacing(out / name) as part:
                shutil.copyfile(folder / name, part)


def contents(store=STORE):
    """Every key in the store, oldest first -> [{key, shards, bytes, shared, used}]; `shared` are bytes that another name still
    holds, which clearing would not free."""
    rows = []
    for folder in sorted(Path(store).glob("*/"), key=lambda folder: folder.stat().st_mtime):
        files = [file.stat() for file in folder.iterdir() if file.suffix in (".arrow", ".part")]
        rows.append(
            {
                "key": folder.name,
                "shards": len(list(folder.glob("*.arrow"))),
                "bytes": sum(file.st_size for file in files),
                "shared": sum(file.st_size for file in files if file.st_nlink > 1),
                "used": folder.stat().st_mtime,
            }
        )
    return rows


def clear(key, store=STORE):
    """Remove the folder of a key. ValueError while a dump holds it."""
    with locked(Path(store) / key) as folder:
        shutil.rmtree(folder)
