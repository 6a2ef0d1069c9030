"""What several test files need."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl

ROOT = Path(__file__).resolve().parents[1]


def contents(*paths):
    """Every file under some paths, with its bytes."""
    files = []
    for path in map(Path, paths):
        files += [path] if path.is_file() else sorted(path.rglob("*"))
    return {str(file): file.read_bytes() for file in files if file.is_file()}


def pairs_table(labels, splits="test", first=None, second=None, component=None):
    """Pairs of C2: labels (P,), a split name or one for each pair, and by default two sentences of their own for
    each.
    """
    labels = np.asarray(labels, dtype=np.float64)
    count = len(labels)
    return pl.DataFrame(
        {
            "pair_id": np.arange(count),
            "split": [splits] * count if isinstance(splits, str) else list(splits),
            "idx": np.arange(count),
            "sentence1_id": np.arange(count) * 2 if first is None else np.asarray(first),
            "sentence2_id": np.arange(count) * 2 + 1 if second is None else np.asarray(second),
            "label": labels,
            "component": np.arange(count) if component is None else np.asarray(component),
        }
    )


def run(folder, *command, check=True, **environment):
    """A command in a folder with this environment's programs first -> its completed process, output as text."""
    variables = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(folder)}
    variables = {name: value for name, value in variables.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=variables | {"DRILLCORE_THREADS": "1"} | environment
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def wait_until(condition, seconds=120):
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)
