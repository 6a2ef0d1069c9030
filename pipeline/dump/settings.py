"""Section `dump` of params.yaml."""

from dataclasses import dataclass, replace

from pipeline.base.errors import InputError, one_of
from pipeline.base.settings import at_least
from pipeline.catalog.entries import KEEPS, Model
from pipeline.readouts import names

DTYPES = ("float32", "bfloat16")
STORES = ("float16", "float32")


@dataclass(frozen=True)
class Dump:
    """Section `dump` of params.yaml."""

    dtype: str
    """type of the weights: float32 or bfloat16"""
    store: str
    """type of the stored states: float16, or float32 for models whose states pass 65,504"""
    layers: str | int | list[int]
    """all, a list of layers (negative ones count from the last), or n for every n-th layer from 0 on"""
    readout: str
    """what is read of the network where a model's entry does not say: plain, its hidden layers, or another readout
    (docs/howto/readouts.md)
    """
    keep: str
    """tokens: the state of every token (contract C3); pooled: the statistics that the fixed poolings need; state: the
    recurrent state after the last token of each block. A model's entry may say another
    """
    batch_tokens: int
    """tokens of a forward pass; sentences of one exact length share one"""
    shard_mb: int
    """size of a shard, in 10^6 bytes"""
    gate_tokens: int
    """tokens of text on which bits per byte are measured; 0 skips it"""

    def __post_init__(self) -> None:
        at_least("dump", self, batch_tokens=1, shard_mb=1, gate_tokens=0)
        one_of(self.dtype, DTYPES, "dump.dtype")
        one_of(self.store, STORES, "dump.store")
        one_of(self.keep, KEEPS, "dump.keep")
        names.parsed(self.readout, "dump")
        is_step = isinstance(self.layers, int) and self.layers >= 1
        is_list = isinstance(self.layers, list) and len(self.layers) > 0
        if not (self.layers == "all" or is_step or is_list):
            raise InputError(f"dump.layers is {self.layers!r}: give all, a list of layers, or n for every n-th layer")


def of_model(settings: Dump, entry: Model, name: str) -> Dump:
    """The settings with what a model's entry says instead: its `readout` and `keep`.

    InputError where the recurrent state is kept of a model that is to be read in another way.
    """
    keep, readout = entry.keep or settings.keep, entry.readout or settings.readout
    if keep == "state" and readout != "plain":
        raise InputError(
            f"model {name} has readout {readout}, but its recurrent state (keep: state) is read in one way only: set "
            "its `readout` to plain, or its `keep` to tokens"
        )
    return replace(settings, keep=keep, readout=readout)
