"""Folders of weights that wait on the disk, each as long as the process that uses it."""

import atexit
import contextlib
import fcntl
import shutil
import tempfile
from pathlib import Path
from typing import IO

from pipeline.base.errors import InputError

OFFLOADED = Path(".drillcore/offloaded")
LOCKS: list[IO[str]] = []
"""of this process, which ends them"""


def new_folder(needed: int) -> Path:
    """An empty folder with room for so many bytes, which is removed when this process ends.

    Those of processes that were killed are removed first. InputError where the disk is too small.
    """
    OFFLOADED.mkdir(parents=True, exist_ok=True)
    with (OFFLOADED / "lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        for folder in OFFLOADED.glob("*/"):
            with contextlib.suppress(BlockingIOError), (folder / "lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
        if needed > (free := shutil.disk_usage(OFFLOADED).free):
            raise InputError(
                f"{needed / 1e9:.2f} GB of weights shall wait on the disk, and that of {OFFLOADED} has "
                f"{free / 1e9:.2f} GB: free some space, or give weights as a folder of safetensors, which are read "
                "where they lie"
            )
        made = Path(tempfile.mkdtemp(dir=OFFLOADED.absolute()))
        lock = (made / "lock").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    LOCKS.append(lock)
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made
