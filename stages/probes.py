"""Scores of probes -> how well they do beside word overlap and zero-shot scores: probes.csv, probes.md, probes.png."""

from pipeline.analyse import probes as analysis
from pipeline.analyse.settings import Correlate
from pipeline.base import cli, settings
from pipeline.base.cli import In, Out
from pipeline.base.files import write_text
from pipeline.formats import pairs as pair_files
from pipeline.formats import probes as probe_files
from pipeline.formats import scores as score_files
from pipeline.formats import tables
from pipeline.report import pictures, probes_picture
from pipeline.report.material import Method
from pipeline.report.probes import page, shown_split


def main(pairs: In, probes: In, baselines: In, scores: In, table: Out, report: Out, picture: Out) -> None:
    """Compare the PROBES of models and of BASELINES on PAIRS, beside SCORES.

    Write TABLE, REPORT and PICTURE (PNG, an SVG beside it).
    """
    study, section = settings.study(), settings.section(Correlate)
    all_pairs, info = pair_files.read_pairs(pairs / "pairs.parquet"), pair_files.read_info(pairs / "info.json")
    places = [(probes, name, f"probe@{name}") for name in study.models]
    places += [(baselines, name, "probe_baselines") for name in study.baselines]
    found = [
        probe_files.read(folder / f"{name}.parquet", name, len(all_pairs), stage) for folder, name, stage in places
    ]
    zero_shot = score_files.read(scores, all_pairs)
    compared = analysis.compare(found, all_pairs, info["subsets"], zero_shot, section)
    left_out = {fits.encoder: fits.left_out for fits in found if fits.left_out is not None}
    tables.write(table, compared, tables.PROBES)
    method = Method(section.confidence, section.resamples, section.reference)
    write_text(report, page(compared, left_out, info, method))
    pictures.save(probes_picture.draw(compared, shown_split(compared, info["subsets"])), picture)


if __name__ == "__main__":
    cli.run(main)
