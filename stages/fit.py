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

    def log(line):
        print(f"{model}: {line}", file=sys.stderr)

    parameters, layers, about = learning.fit(states, pl.read_parquet(pairs), settings, cli.device_of(device), log)
    if "nothing" in about:
        log(f"nothing is learned, {about['nothing']}")
    shutil.rmtree(out, ignore_errors=True)
    fitted.write(out, parameters, layers, about)


if __name__ == "__main__":
    cli.run(main)
