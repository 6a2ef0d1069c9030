"""What the stage baseline writes of one baseline: `data/baselines/NAME/`.

vectors.parquet (contract C4) where it gives sentence vectors, scores.parquet (a column a measure, a row a pair) where
it gives scores, and info.json with what the report says of it.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from pipeline.base.files import write_json
from pipeline.formats import parquet, vectors
from pipeline.formats.damage import foreign, read_json


@dataclass(frozen=True)
class Result:
    """What a baseline makes of the sentences or of the pairs."""

    vectors: np.ndarray | None = None
    """(S, D) float32, a row a sentence"""
    pooling: str = "mean"
    """how a sentence became a vector, for the column of that name; `own` for an encoder that has a way of its own"""
    scores: dict[str, np.ndarray] = field(default_factory=dict)
    """name of the measure -> (P,) float64"""
    info: dict[str, Any] = field(default_factory=dict)
    """what the report says of it"""


def write(folder: str | Path, name: str, result: Result) -> None:
    """The files of a baseline; those of an earlier run that it does not write again are removed."""
    folder = Path(folder)
    for stale in ("vectors.parquet", "scores.parquet"):
        (folder / stale).unlink(missing_ok=True)
    if result.vectors is not None:
        info = vectors.Info(encoder=name, pooling=result.pooling, layers=False)
        vectors.write(folder / "vectors.parquet", {0: result.vectors}, info)
    if result.scores:
        columns = {measure: pa.array(scores, pa.float64()) for measure, scores in result.scores.items()}
        parquet.write(folder / "scores.parquet", pa.table(columns), {"encoder": name})
    write_json(folder / "info.json", {"encoder": name, "measures": list(result.scores), **result.info})


def read_info(folder: str | Path, name: str) -> dict[str, Any]:
    """What the report says of a baseline."""
    path, stage = Path(folder) / "info.json", f"baseline@{name}"
    info = read_json(path, {"encoder": str, "measures": list}, stage)
    if info["encoder"] != name:
        raise foreign(path, f"is of {info['encoder']}", stage)
    return info


def read_scores(folder: str | Path, name: str, pairs: int) -> pl.DataFrame:
    """The scores of a baseline that has some, a row for each of so many pairs."""
    path, stage = Path(folder) / "scores.parquet", f"baseline@{name}"
    measures = read_info(folder, name)["measures"]
    table = parquet.read(path, pa.schema([(measure, pa.float64()) for measure in measures]), stage)
    parquet.facts_of(parquet.open_file(path, stage), path, stage, name)
    if len(table) != pairs:
        raise foreign(path, f"holds {len(table)} scores, but there are {pairs} pairs", stage)
    return pl.DataFrame(table)
