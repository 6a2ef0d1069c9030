"""Locks of files, which end with their process, however it ends."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from pipeline.base.errors import InputError

NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)
"""what the system says where a file system has no locks"""


def take(path: Path, operation: int) -> TextIO | None:
    """Open a lock file, made if need be, and take it (fcntl.LOCK_SH or LOCK_EX) -> the file, to be closed by whoever
    gives the lock back; None while another process has it. With LOCK_NB left out it waits.
    """
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock = path.open("a+")
        except FileNotFoundError:  # another has cleared the folder meanwhile
            continue
        try:
            fcntl.flock(lock, operation)
            if path.exists() and os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                return lock
        except BlockingIOError:
            lock.close()
            return None
        except FileNotFoundError:
            pass
        except OSError as error:
            lock.close()
            if error.errno not in NO_LOCKS:
                raise
            raise InputError(
                f"the file system of {path.parent} has no locks ({error.strerror}), by which workers share a dump: "
                "mount it with them, or set DRILLCORE_STORE to another folder or to a URL"
            ) from error
        lock.close()  # removed between opening and locking: this is the lock of a file that is gone


def is_held(path: Path) -> bool:
    """Whether a process has the lock of a file alone."""
    try:
        with path.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """One process at a time; the others wait."""
    lock = take(path, fcntl.LOCK_EX)
    assert lock is not None
    with lock:
        yield
