"""What baselines give and train labels -> a probe of each, with a score for each pair: the floor of all probes."""

import sys

from pipeline.base import cli, settings
from pipeline.base.cli import In, Out
from pipeline.formats import pairs as pair_files
from pipeline.probe import run
from pipeline.probe.settings import Probe


def main(baselines: In, pairs: In, out: Out) -> None:
    """Fit probes on what BASELINES give and the train PAIRS; write their scores of all pairs to the folder OUT."""
    section, table = settings.section(Probe), pair_files.read_pairs(pairs)
    for name, reason in run.probe_baselines(baselines, out, settings.study().baselines, table, section).items():
        print(f"{name}: not probed, {reason}", file=sys.stderr)


if __name__ == "__main__":
    cli.run(main)
