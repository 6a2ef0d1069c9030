"""Geometry and correlations -> one table, geometry.md and its pictures (run by geometry/dvc.yaml)."""

from pipeline.base import cli
from pipeline.base.cli import In, Out
from pipeline.base.files import write_text
from pipeline.formats import geometry as geometry_format
from pipeline.formats import pairs as pairs_format
from pipeline.formats import splits, tables
from pipeline.geometry import join
from pipeline.report import geometry, geometry_picture, pictures


def main(measured: In, correlations: In, info: In, folder: Out) -> None:
    """Join MEASURED with CORRELATIONS on the last split that is no subset (INFO); write geometry.parquet, .csv, .md and
    .png, and geometry-layers.png to FOLDER, an SVG beside each picture.
    """
    table, facts = geometry_format.read(measured)
    rho = tables.read(correlations, tables.CORRELATIONS, "correlate")
    split = splits.main_split(
        rho["split"].unique(maintain_order=True).to_list(), pairs_format.read_info(info)["subsets"]
    )
    assert split is not None  # a dataset has at least one
    joined = join.join(table, rho, split)
    related = join.with_rho(joined)
    geometry_format.write(folder / "geometry.parquet", joined, facts, geometry_format.JOINED)
    tables.write(folder / "geometry.csv", related, geometry_format.WITH_RHO)
    curves = join.curves(joined)
    write_text(folder / "geometry.md", geometry.page(curves, related, facts, split))
    pictures.save(geometry_picture.draw(curves, facts, split), folder / "geometry.png")
    pictures.save(geometry_picture.draw_layers(joined), folder / "geometry-layers.png")


if __name__ == "__main__":
    cli.run(main)
