"""The figures of threads.py as rows of the table: settings of OpenMP on a quiet and on a busy machine."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager

from benchmarks import threads
from benchmarks.common import row


@contextmanager
def busy_cores():
    """A process that does nothing but compute on each core."""
    command = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(command) for _ in range(os.cpu_count() or 1)]
    try:
        time.sleep(1)
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def waiting_threads(rounds=5):
    """How waiting threads behave under settings of OpenMP, on a quiet and on a busy machine."""
    quiet = threads.measured(repeats=300, rounds=rounds)
    with busy_cores():
        busy = threads.measured(repeats=100, rounds=min(3, rounds))
    rows = []
    for machine, times in (("quiet", quiet), ("busy", busy)):
        best = min(times.values())
        for setting, took in times.items():
            detail = f"{took:.3f} s; 512 x 768 by 768 x 768"
            rows.append(row(f"{setting}, {machine} machine, time / the best", took / best, detail))
    return rows
