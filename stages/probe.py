"""Sentence vectors of one model and train labels -> probes of every layer, with a score for each pair."""

import sys

from pipeline.base import cli, settings
from pipeline.base.cli import In, Name, Out
from pipeline.catalog import entries
from pipeline.formats import pairs as pair_files
from pipeline.formats import probes
from pipeline.probe import run
from pipeline.probe.settings import Probe


def main(model: Name, pooled: In, pairs: In, out: Out) -> None:
    """Fit probes on the vectors in POOLED and the train PAIRS, and write their scores of all pairs to OUT (Parquet)."""
    section, table = settings.section(Probe), pair_files.read_pairs(pairs)
    if entries.entry("models", model).is_control and not section.controls:
        reason: str | None = run.CONTROL
        probes.write(out, model, [], reason)
    else:
        reason = run.probe_model(pooled, out, model, table, section)
    if reason:
        print(f"{model}: not probed, {reason}", file=sys.stderr)


if __name__ == "__main__":
    cli.run(main)
