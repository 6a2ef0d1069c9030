"""Pairs -> what each encoder costs: time, memory, size (run by cost/dvc.yaml)."""

from pipeline.base import cli, settings
from pipeline.base.cli import Device, In, Out, Threads
from pipeline.cost import measure
from pipeline.cost.settings import Efficiency
from pipeline.formats import efficiency
from pipeline.formats import pairs as pair_files


def main(pairs: In, table: Out, environment: Out, device: Device = "", threads: Threads = 0) -> None:
    """Measure the encoders of params.yaml on some of PAIRS; write TABLE (CSV) and ENVIRONMENT (JSON)."""
    section, study = settings.section(Efficiency), settings.study()
    all_pairs = pair_files.read_pairs(pairs / "pairs.parquet")
    sentences = pair_files.read_sentences(pairs / "sentences.parquet", all_pairs)
    names = section.encoders or [*study.models, *study.baselines]
    chosen = measure.spread(all_pairs, sentences, section.pairs)
    costs, found = measure.measure(names, chosen, section, device, threads)
    efficiency.write(table, costs)
    efficiency.write_environment(environment, found)


if __name__ == "__main__":
    cli.run(main)
