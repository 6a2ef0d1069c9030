"""Costs and correlations -> cost.md, with its picture (run by cost/dvc.yaml)."""

from pipeline.base import cli
from pipeline.base.cli import In, Out
from pipeline.base.files import write_text
from pipeline.formats import efficiency, splits, tables
from pipeline.formats import pairs as pair_files
from pipeline.report import cost_picture, cost_rows, pictures
from pipeline.report.cost import page


def main(table: In, environment: In, correlations: In, info: In, report: Out, picture: Out) -> None:
    """Write REPORT (Markdown) and PICTURE (PNG, an SVG beside it) from TABLE, ENVIRONMENT and CORRELATIONS.

    INFO names the subsets.
    """
    measured, found = efficiency.read(table), efficiency.read_environment(environment)
    rho = tables.read(correlations, tables.CORRELATIONS, "correlate")
    split = splits.main_split(rho["split"].unique(maintain_order=True).to_list(), pair_files.read_info(info)["subsets"])
    assert split is not None  # a dataset has at least one
    write_text(report, page(measured, rho, found, split))
    pictures.save(cost_picture.draw(cost_rows.rows(measured, rho, split), split), picture)


if __name__ == "__main__":
    cli.run(main)
