"""`data/geometry.parquet` and `results/geometry.parquet`: the geometry of each layer, and rho beside it.

A row is a measure of one encoder at a layer, or of two of its layers. The measures are in docs/reference/geometry.md.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from pipeline.base.errors import InputError
from pipeline.formats import parquet
from pipeline.formats.damage import damaged
from pipeline.formats.parquet import Column
from pipeline.formats.tables import NUMBER, TEXT, Columns

STAGE, COMMAND = "geometry", "dvc --cd geometry repro -f"
MEASURED = {
    "encoder": Column(pa.string(), "name of the model"),
    "level": Column(
        pa.string(), "sentences: of pooled vectors; tokens: of states; layers: of the vectors of two layers"
    ),
    "pooling": Column(pa.string(), "of the vectors; null for tokens"),
    "measure": Column(pa.string(), "its name in docs/reference/geometry.md"),
    "layer": Column(pa.int32(), "0 is what enters the first block"),
    "other": Column(pa.int32(), "the layer that it is compared with; null for a measure of one layer"),
    "value": Column(pa.float64(), "null where it is undefined"),
    "low": Column(pa.float64(), "its interval, from halves of the sentences; null with too few components"),
    "high": Column(pa.float64(), ""),
    "maximum": Column(pa.float64(), "the largest value that N, D or T leave possible; null where they leave all"),
    "sentences": Column(pa.int64(), "that it was measured on"),
    "dim": Column(pa.int64(), "D"),
}
JOINED = MEASURED | {
    "split": Column(pa.string(), "of rho"),
    "rho": Column(pa.float64(), "Spearman's rho of the cosines with the labels at the layer; null where there is none"),
    "rho_low": Column(pa.float64(), "its interval"),
    "rho_high": Column(pa.float64(), ""),
}
FACTS = {
    "measures": "{measure: its title, unit, level, and the claim that it speaks to}, in the order of the page",
    "left_out": "{encoder: {measure: reason}}",
    "confidence": "coverage of the intervals",
    "resamples": "halves of the sentences",
}
WITH_RHO: Columns = {
    "encoder": (TEXT, "name of the model"),
    "measure": (TEXT, "its name in docs/reference/geometry.md; of two layers: against the model's first"),
    "layers": (pl.Int64, "that have both the measure and rho"),
    "correlation": (NUMBER, "Spearman's correlation of measure and rho over them; empty for fewer than 4"),
    "with_depth": (NUMBER, "the same of measure and layer number"),
    "rho_with_depth": (NUMBER, "the same of rho and layer number"),
}
"""`results/geometry.csv`; without p-values, since neighbouring layers are not independent"""


def polars_schema(columns: dict[str, Column]) -> dict[str, Any]:
    """{name: polars type} of some columns."""
    return dict(pl.from_arrow(parquet.schema_of(columns).empty_table()).schema)  # type: ignore[union-attr]


def write(path: str | Path, table: pl.DataFrame, facts: dict[str, Any], columns: dict[str, Column] = MEASURED) -> None:
    """A table of MEASURED or JOINED and FACTS."""
    in_order = [{"name": name} | facts["measures"][name] for name in facts["measures"]]  # a footer sorts its keys
    arrow = table.select(list(columns)).to_arrow(compat_level=pl.CompatLevel.oldest()).cast(parquet.schema_of(columns))
    parquet.write(path, arrow, facts | {"measures": in_order})


def read(path: str | Path, columns: dict[str, Column] = MEASURED) -> tuple[pl.DataFrame, dict[str, Any]]:
    """A table of MEASURED or JOINED, and FACTS."""
    with _measured_anew(path):
        file = parquet.open_file(path, STAGE)
        facts = parquet.facts_of(file, path, STAGE)
        table = pl.DataFrame(parquet.read(path, parquet.schema_of(columns), STAGE))
        if table.select("encoder", "measure", "layer").null_count().sum_horizontal()[0]:
            raise damaged(path, "has a row without encoder, measure or layer", STAGE)
    return table, facts | {"measures": {one.pop("name"): one for one in facts["measures"]}}


@contextmanager
def _measured_anew(path: str | Path) -> Iterator[None]:
    """Say how such a file is made again: its stage is in a DVC project of its own, and nothing of it is in a cache."""
    if not Path(path).is_file():
        raise InputError(f"{path} is not there: make it with {COMMAND}")
    try:
        yield
    except InputError as error:
        raise InputError(str(error).replace(f"dvc repro {STAGE}", COMMAND)) from error
