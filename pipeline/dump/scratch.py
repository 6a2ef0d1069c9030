"""Where dumps are built: a folder for each key (contract C6), in which a finished shard is never lost."""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipeline.base.errors import InputError
from pipeline.base.files import replacing
from pipeline.dump.space import full_disk_explained

STORE = Path(".drillcore/dumps")
NO_LINKS = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS)
"""what the system says where it cannot make a hard link: another disk, or a file system without them"""


@contextmanager
def locked(folder: Path) -> Iterator[Path]:
    """Hold the folder of a key, made if need be; the lock ends with its process.

    Raises InputError while another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lock"
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not path.exists() or os.fstat(lock.fileno()).st_ino != path.stat().st_ino:
                raise BlockingIOError  # cleared between opening and locking: this is the lock of a folder that is gone
        except BlockingIOError:
            lock.seek(0)
            raise InputError(
                f"process {lock.read().strip()} is writing or clearing this very dump ({folder}): "
                "wait for it, or stop it"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield folder


def publish(folder: Path, names: Sequence[str], out: Path) -> None:
    """Give the folder `out` exactly these shards, as hard links where the file system has them, else as copies."""
    out.mkdir(parents=True, exist_ok=True)
    for stale in out.glob("*.arrow"):
        stale.unlink()
    for name in names:
        try:
            os.link(folder / name, out / name)
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            with full_disk_explained(out), replacing(out / name) as part:
                shutil.copyfile(folder / name, part)
