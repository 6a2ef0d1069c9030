"""Token states and train pairs -> learned poolings of one model."""

import shutil
import sys

from pipeline.base import cli, settings
from pipeline.base.cli import Device, In, Name, Out, Threads
from pipeline.base.machine import device_named, use_threads
from pipeline.catalog import entries
from pipeline.fit.result import CONTROL, Fitted
from pipeline.fit.settings import Fit
from pipeline.formats import dumps, fits
from pipeline.formats import manifest as manifests
from pipeline.formats import pairs as pair_files


def main(model: Name, states: In, manifest: In, pairs: In, out: Out, device: Device = "", threads: Threads = 0) -> None:
    """Learn params.yaml's fit.poolings from STATES and the train pairs of PAIRS; write the folder OUT."""
    section = settings.section(Fit)

    def log(line: str) -> None:
        print(f"{model}: {line}", file=sys.stderr)

    if entries.entry("models", model).is_control and not section.controls:
        fitted = Fitted.nothing(CONTROL, control=True)
    else:
        from pipeline.fit.run import fit  # torch takes seconds

        use_threads(threads or 1)  # its many small products are slower on two
        dump = dumps.read(states, manifests.read(manifest, model))
        fitted = fit(dump, pair_files.read_pairs(pairs), section, device_named(device), log)
    if "nothing" in fitted.report:
        log(f"nothing is learned, {fitted.report['nothing']}")
    shutil.rmtree(out, ignore_errors=True)
    fits.write(out, fitted.parameters, fitted.layers, {"model": model} | fitted.report)


if __name__ == "__main__":
    cli.run(main)
