"""Section `dump` of params.yaml."""

from dataclasses import dataclass

from pipeline.base.errors import InputError, one_of
from pipeline.base.settings import at_least
from pipeline.readouts import names

DTYPES = ("float32", "bfloat16")
STORES = ("float16", "float32")
KEEPS = ("tokens", "pooled")


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
    """tokens: the state of every token (contract C3); pooled: the statistics that the fixed poolings need"""
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
