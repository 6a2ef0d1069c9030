"""One process at a time for each stage that DVC runs.

A stage outlives its `dvc repro` where that alone is killed. The next `dvc repro` starts the same stage, and both would
write the same files.
"""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RUNNING = Path(".drillcore/running")


@contextmanager
def taking_turns(stage: str | None) -> Iterator[None]:
    """Hold a stage of dvc.yaml, such as dump@demo, until the block or the process ends; wait while another holds it.

    None, where DVC did not start this process, holds nothing.
    """
    if stage is None:
        yield
        return
    RUNNING.mkdir(parents=True, exist_ok=True)
    with (RUNNING / stage).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            print(
                f"{stage} still runs, left by a dvc that was killed: waiting for process {lock.read()}", file=sys.stderr
            )
            fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
