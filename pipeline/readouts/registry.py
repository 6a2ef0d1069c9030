"""READOUTS: name in catalog.yaml and params.yaml -> how a network is read."""

from dataclasses import replace

from pipeline.readouts.attention_output import ATTENTION_OUTPUT
from pipeline.readouts.names import parsed
from pipeline.readouts.plain import PLAIN
from pipeline.readouts.readout import Readout
from pipeline.readouts.state import STATE
from pipeline.readouts.state_echo import STATE_ECHO
from pipeline.readouts.token_prepending import TOKEN_PREPENDING
from pipeline.readouts.values import VALUE_VECTORS

READOUTS: dict[str, Readout] = {
    readout.name: readout
    for readout in (
        PLAIN,
        TOKEN_PREPENDING,
        VALUE_VECTORS,
        ATTENTION_OUTPUT,
        STATE_ECHO,
    )
}


def readout_of(keep: str, readout: str) -> Readout:
    """What a dump reads that keeps something: the recurrent state, or else the readout of a name."""
    return STATE if keep == "state" else readout_named(readout)


def readout_named(text: str) -> Readout:
    """A name with its numbers, such as token_prepending_6 -> the readout. InputError that names the near misses."""
    name, numbers = parsed(text)
    return replace(READOUTS[name], numbers=numbers)
