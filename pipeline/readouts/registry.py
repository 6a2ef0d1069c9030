"""READOUTS: name in catalog.yaml and params.yaml -> how a network is read."""

from dataclasses import replace

from pipeline.readouts.names import parsed
from pipeline.readouts.plain import PLAIN
from pipeline.readouts.readout import Readout
from pipeline.readouts.state import STATE
from pipeline.readouts.state_echo import STATE_ECHO

READOUTS: dict[str, Readout] = {
    readout.name: readout
    for readout in (
        PLAIN,
        STATE_ECHO,
    )
}  # fmt: skip


def readout_of(keep: str, readout: str) -> Readout:
    """What a dump reads that keeps something: the recurrent state, or else the readout of a name."""
    return STATE if keep == "state" else readout_named(readout)


def readout_named(text: str) -> Readout:
    """A name with its numbers, such as token_prepending_6 -> the readout. InputError that names the near misses."""
    name, numbers = parsed(text)
    return replace(READOUTS[name], numbers=numbers)
