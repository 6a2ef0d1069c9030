"""Token states and train pairs -> learned poolings of one model."""

import shutil
import sys

import polars as pl
import torch

from pipeline import cli, fitted, learning, params
from pipeline.cli import Device, In, Name, Out, Threads


def main(model: Name, states: In, pairs: In, out: Out, device: Device = "", threads: Threads = 0):
    """Learn params.yaml's fit.poolings from the shards in STATES and the train pairs of PAIRS; write the folder OUT."""
    torch.set_num_threads(threads or torch.get_num_threads())
    settings = params.section("fit", learning.Fit)
    log = lambda line: print(f"{model}, {line}", file=sys.stderr)  # noqa: E731
    found = learning.fit(states, pl.read_parquet(pairs), settings, cli.device_of(device), log)
    shutil.rmtree(out, ignore_errors=True)
    fitted.write(out, *found)


if __name__ == "__main__":
    cli.run(main)
