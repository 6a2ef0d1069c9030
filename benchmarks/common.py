"""What all benchmarks share: turns and medians, rows of the table, a folder on the disk of the project."""

import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def workspace():
    """A temporary folder on the disk of the project, which a dump writes to."""
    (ROOT / ".drillcore").mkdir(exist_ok=True)
    return tempfile.TemporaryDirectory(dir=ROOT / ".drillcore", prefix="bench-")


def seconds(function, *arguments):
    """Wall time of a call."""
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def cpu_seconds(function, *arguments):
    """CPU time of a call, over all threads: for one thread on a machine where others run."""
    start = time.process_time()
    function(*arguments)
    return time.process_time() - start


def in_turns(rounds, **functions):
    """{name: median of what its function returns}; in each round every function is called once, in order."""
    values = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            values[name].append(function())
    return {name: statistics.median(of_rounds) for name, of_rounds in values.items()}


def row(figure, value, detail):
    """A row of the table: what was measured, the number, and what it was made of."""
    return {"figure": figure, "value": value, "detail": detail}


def write_to_disk(path, data):
    """Write bytes and wait until the disk has them."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def git(folder, *arguments):
    """What git says of a folder."""
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()
