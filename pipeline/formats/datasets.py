"""Results of several data sets: a folder of each, `results/datasets/NAME/`, and one table, `results/datasets.csv`."""

from pathlib import Path
from typing import Any

import polars as pl

from pipeline.base.errors import InputError
from pipeline.base.settings import read_yaml
from pipeline.formats import pairs, tables
from pipeline.formats.tables import CORRELATIONS, TEXT, Columns

OWN: Columns = {
    "dataset": (TEXT, "its name in catalog.yaml"),
    "reported": (pl.Boolean, "whether datasets.md shows the split: the last one that layers were not chosen on"),
}
DATASETS: Columns = OWN | CORRELATIONS
"""every row of every data set's own table"""


def read(folder: Path, correlate: dict[str, Any]) -> tuple[pl.DataFrame, dict[str, Any]]:
    """The folder of a data set -> its CORRELATIONS and what there is to say of its pairs (formats.pairs.INFO).

    InputError where intervals and tests were made with other settings than `correlate`, the section of params.yaml.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not there: run its data set, without --no-run")
    made_with = read_yaml(folder / "params.yaml").get("correlate")
    if made_with != correlate:
        raise InputError(
            f"{folder} was made with correlate: {made_with}, and params.yaml says {correlate}: run it again"
        )
    return tables.read(folder / "correlations.csv", CORRELATIONS, "correlate"), pairs.read_info(folder / "info.json")
