"""`results/efficiency.csv` and `results/efficiency.json`: what encoders cost, and on which machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.base.errors import InputError
from pipeline.base.files import write_json
from pipeline.formats import tables
from pipeline.formats.damage import damaged, read_json
from pipeline.formats.tables import NUMBER, TEXT, Columns

STAGE, COMMAND = "efficiency", "dvc --cd cost repro -f"
INTEGER = pl.Int64

EFFICIENCY: Columns = {
    "name": (TEXT, "the encoder as pages and pictures call it; as in correlations.csv"),
    "encoder": (TEXT, "name of the model or baseline"),
    "kind": (TEXT, "family of a model, or kind of a baseline"),
    "layer": (pl.Int32, "at which the model is left; empty for what has no layers"),
    "similarity": (TEXT, "of two vectors, or the measure of an encoder without vectors"),
    "device": (TEXT, "cpu, or the GPU"),
    "batch_size": (INTEGER, "pairs at once: 1, or the size with the most pairs per second"),
    "pairs": (INTEGER, "pairs that each repeat compares"),
    "repeats": (INTEGER, "of which the figures are the median and the quartiles"),
    "ms": (NUMBER, "milliseconds for a pair, from two texts to their score; pairs per second are 1000 / ms"),
    "ms_low": (NUMBER, "lower quartile"),
    "ms_high": (NUMBER, "upper quartile"),
    "encoding_ms": (NUMBER, "the same without tokenization; empty where there is no such step"),
    "encoding_ms_low": (NUMBER, ""),
    "encoding_ms_high": (NUMBER, ""),
    "cpu_ms": (NUMBER, "CPU milliseconds for a pair, in all threads of the process"),
    "cpu_ms_low": (NUMBER, ""),
    "cpu_ms_high": (NUMBER, ""),
    "parameters": (INTEGER, "numbers that are computed with, up to the layer and without a head"),
    "disk_bytes": (INTEGER, "of the files of the weights"),
    "peak_bytes": (INTEGER, "most that the process had resident, mapped files and libraries included (VmHWM)"),
    "own_bytes": (INTEGER, "what the process held at the end without mapped files (RssAnon)"),
    "gpu_allocated_bytes": (INTEGER, "most that torch had allocated on the GPU"),
    "gpu_reserved_bytes": (INTEGER, "most that torch had reserved there"),
    "error": (TEXT, "why the encoder was not measured; then all figures are empty"),
}
MEASURED = ("ms", "ms_low", "ms_high", "cpu_ms")
ENVIRONMENT: dict[str, tuple[Any, str]] = {
    "cpu": (str, "name of the CPU"),
    "cores": (int, "of the machine"),
    "quota": ((int, float, type(None)), "cores' worth of time that a container may use; null where nothing limits it"),
    "threads": (int, "of torch in each process"),
    "gpu": ((str, type(None)), "name of the GPU, if one was used"),
    "versions": (dict, "of Python and of the packages that compute"),
    "date": (str, "year-month-day"),
    "load_before": ((float, type(None)), "programs that wanted a core in the minute before; other programs disturb"),
    "load_after": ((float, type(None)), "the same at the end"),
    "pairs": (int, "pairs that each repeat compares"),
    "repeats": (int, "of which the figures are the median and the quartiles"),
    "interleaved": (bool, "whether the encoders took turns"),
}
"""`results/efficiency.json`"""


def write(path: str | Path, table: pl.DataFrame) -> None:
    """EFFICIENCY as CSV."""
    tables.write(path, table, EFFICIENCY)


def read(path: str | Path) -> pl.DataFrame:
    """EFFICIENCY. InputError for a file that is damaged, or has a row with neither a time nor a reason."""
    with _measured_anew(path):
        table = tables.read(path, EFFICIENCY, STAGE)
        times = table.filter(pl.col("error").is_null()).select(MEASURED)
        if not times.select(pl.all_horizontal(pl.all().is_finite() & (pl.all() >= 0)).fill_null(False).all()).item():
            raise damaged(path, "has a row without a time, and without an error that says why", STAGE)
        return table


@contextmanager
def _measured_anew(path: str | Path) -> Iterator[None]:
    """Say how such a file is made again: its stage is in a DVC project of its own, and nothing of it is in a cache."""
    if not Path(path).is_file():
        raise InputError(f"{path} is not there: measure it with {COMMAND}")
    try:
        yield
    except InputError as error:
        raise InputError(str(error).replace(f"dvc repro {STAGE}", COMMAND)) from error


def write_environment(path: str | Path, environment: dict[str, Any]) -> None:
    """The keys of ENVIRONMENT as JSON."""
    write_json(path, environment)


def read_environment(path: str | Path) -> dict[str, Any]:
    """The keys of ENVIRONMENT."""
    with _measured_anew(path):
        return read_json(path, {key: kind for key, (kind, _) in ENVIRONMENT.items()}, STAGE)
