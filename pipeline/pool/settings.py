"""Section `pool` of params.yaml."""

from dataclasses import dataclass

from pipeline.base.errors import one_of
from pipeline.formats.precision import STORES


@dataclass(frozen=True)
class Pool:
    """Section `pool`: how the vectors of `pooling` are kept."""

    store: str
    """type of the numbers in data/pooled: float32, float16 in half of the bytes, or int8 in a quarter of them, with a
    scale for each dimension (docs/scale.md says what it does to rho); the sweep reads states, not these vectors
    """

    def __post_init__(self) -> None:
        one_of(self.store, STORES, "pool.store")
