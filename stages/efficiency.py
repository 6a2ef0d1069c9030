"""Pairs -> what each encoder costs: time, memory, size (run by cost/dvc.yaml)."""

from pipeline.base import cli, settings
from pipeline.base.cli import Device, In, Out, Threads
from pipeline.cost import measure
from pipeline.cost.settings import Efficiency
from pipeline.formats import beside, efficiency
from pipeline.formats import pairs as pair_files


def main(data: In, table: Out, environment: Out, copy: Out, device: Device = "", threads: Threads = 0) -> None:
    """Measure the encoders of params.yaml on some pairs of DATA; write TABLE (CSV), ENVIRONMENT (JSON), and a COPY of
    the table for the stage claims.
    """
    section, study = settings.section(Efficiency), settings.study()
    all_pairs = pair_files.read_pairs(data / "pairs/pairs.parquet")
    sentences = pair_files.read_sentences(data / "pairs/sentences.parquet", all_pairs)
    names = section.encoders or [*study.models, *study.baselines]
    of = beside.study(data / "pairs", data / "manifests", data / "baselines", names)
    chosen = measure.spread(all_pairs, sentences, section.pairs)
    costs, found = measure.measure(names, chosen, section, device, threads)
    efficiency.write(table, costs)
    efficiency.write_environment(environment, found)
    beside.begin(copy)
    efficiency.write(copy, costs)
    beside.finish(copy, of)


if __name__ == "__main__":
    cli.run(main)
