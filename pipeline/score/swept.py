"""The poolings that a sweep lists: those of the room pool, all runs of one that is learned, every pair of layers."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

from pipeline.base.errors import InputError
from pipeline.formats.fits import Fits
from pipeline.pool.names import Pooling

PAIRS_OF_LAYERS = "pairs_of_layers"


@dataclass(frozen=True)
class Variant:
    """A pooling that a sweep computes, and what it is an option of."""

    pooling: Pooling
    listed: str
    """the name under which it is compared: attention for attention_3, pairs_of_layers for layers_0_2"""
    run: int | None
    """of a pooling that is learned"""

    def option(self, layer: int | None) -> str | None:
        """What is chosen on train: a layer, two layers such as 0+2, or nothing."""
        if self.listed == PAIRS_OF_LAYERS:
            return "+".join(map(str, self.pooling.numbers))
        return None if layer is None else str(layer)


@dataclass(frozen=True)
class SweptPooling:
    """An item of `sweep.poolings`."""

    text: str
    """its name in params.yaml"""
    pooling: Pooling | None
    """None for pairs_of_layers"""

    @classmethod
    def parse(cls, text: str) -> "SweptPooling":
        """A name of params.yaml. InputError that names the near misses, and for a run of a learned pooling."""
        if text == PAIRS_OF_LAYERS:
            return cls(text, None)
        pooling = Pooling.parse(text, others=[PAIRS_OF_LAYERS])
        if pooling.learned and pooling.numbers:
            raise InputError(
                f"pooling is {text!r}, expected {pooling.entry}: it stands for all runs, which are compared together"
            )
        return cls(text, pooling)

    def __str__(self) -> str:
        return self.text

    def variants(self, layers: Iterable[int], fits: Fits) -> list[Variant]:
        """All runs of a pooling that is learned, all pairs of some layers, or the pooling itself."""
        if self.pooling is None:
            pairs = [Pooling.parse(f"layers_{i}_{j}") for i, j in combinations(layers, 2)]
            return [Variant(pair, PAIRS_OF_LAYERS, None) for pair in pairs]
        if self.pooling.learned:
            return [Variant(self.pooling.with_run(run), self.text, run) for run in fits[self.pooling.entry]]
        # a pair of layers that is listed by itself is an option of the same choice
        listed = PAIRS_OF_LAYERS if self.pooling.entry == "layers_I_J" else self.text
        return [Variant(self.pooling, listed, None)]
