"""Several data sets through the same pipeline, one after another -> datasets.csv, datasets.md and datasets.png.

No stage of dvc.yaml: it runs `dvc repro` for each.
"""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.analyse.settings import Correlate
from pipeline.base import cli, settings, several_datasets
from pipeline.base.errors import InputError
from pipeline.base.files import write_text
from pipeline.check.study import check_entry
from pipeline.formats import datasets, tables
from pipeline.report import controls, datasets_picture, pictures
from pipeline.report import datasets as report
from pipeline.report.material import Method

RESULTS = Path("results")


def main(
    names: Annotated[list[str], typer.Argument(help="data sets of catalog.yaml")],
    run: Annotated[bool, typer.Option(help="run the pipeline; otherwise only put together what was run before")] = True,
) -> None:
    """Run the pipeline for each data set of NAMES, and put their results into one table, page and picture."""
    settings.once(names, "the command line")
    for name in names:
        check_entry("datasets", name, "catalog.yaml")
    failed = several_datasets.run_each(names, RESULTS / "datasets") if run else []
    section, correlate = settings.section(Correlate), settings.read_yaml("params.yaml")["correlate"]
    found = {name: datasets.read(RESULTS / "datasets" / name, correlate) for name in names if name not in failed}
    if found:
        table = report.joined(found)
        method = Method(section.confidence, section.resamples, section.reference)
        tables.write(RESULTS / "datasets.csv", table, datasets.DATASETS)
        control = {name: controls.in_words(info["control"]) for name, (_, info) in found.items()}
        write_text(RESULTS / "datasets.md", report.page(table, method, failed, control))
        pictures.save(datasets_picture.draw(table, section.reference), RESULTS / "datasets.png")
        print("Read results/datasets.md; the picture is results/datasets.png and .svg.")
    if failed:
        of_them = "it" if len(failed) == 1 else "them"
        raise InputError(f"{', '.join(failed)} failed: nothing of {of_them} is in the table")


if __name__ == "__main__":
    cli.run(main)
