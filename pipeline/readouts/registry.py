"""READOUTS: name in catalog.yaml and params.yaml -> how a network is read."""

from dataclasses import replace

from pipeline.readouts.names import parsed
from pipeline.readouts.plain import PLAIN
from pipeline.readouts.readout import Readout

READOUTS: dict[str, Readout] = {
    readout.name: readout
    for readout in (
        PLAIN,
    )
}  # fmt: skip


def readout_named(text: str) -> Readout:
    """A name with its numbers, such as token_prepending_6 -> the readout. InputError that names the near misses."""
    name, numbers = parsed(text)
    return replace(READOUTS[name], numbers=numbers)
