"""Comparison of poolings -> poolings.md, with its picture."""

from pipeline.analyse.settings import Correlate
from pipeline.base import cli, settings
from pipeline.base.cli import In, Out
from pipeline.base.files import write_text
from pipeline.formats import tables
from pipeline.report import pictures, poolings_picture
from pipeline.report.material import Method
from pipeline.report.poolings import page, shown_split


def main(table: In, layers: In, summary: In, report: Out, picture: Out) -> None:
    """Write REPORT (Markdown) and PICTURE (PNG, an SVG beside it) from TABLE, the curves in LAYERS and SUMMARY."""
    correlate = settings.section(Correlate)
    compared = tables.read(table, tables.POOLINGS, "compare")
    curves = tables.read(layers, tables.CURVES, "compare")
    found = tables.read_summary(summary)
    method = Method(correlate.confidence, correlate.resamples, correlate.reference)
    write_text(report, page(compared, found, method))
    pictures.save(poolings_picture.draw(compared, curves, shown_split(compared, found)), picture)


if __name__ == "__main__":
    cli.run(main)
