"""Numbers of vectors in fewer bytes: `pool.store` names an entry of STORES.

float16 keeps 11 bits of each number and ends at 65,504. int8 keeps whole multiples of a scale, from -127 to 127, with a
scale for each dimension of each layer, the largest magnitude there / 127. One scale for each vector would follow the
few outlying dimensions that many models have, and round the others to nothing.
"""

from dataclasses import dataclass, field

import numpy as np

from pipeline.base.errors import InputError

STORES = {"float32": np.float32, "float16": np.float16, "int8": np.int8}
MOST = 127
"""the largest magnitude of an int8 that is used: -128 has no opposite"""
MOST_SCALES = 2_000_000
"""that are kept in the footer of a file, as text"""


@dataclass(frozen=True)
class Precision:
    """How the numbers of a file of vectors are kept."""

    store: str = "float32"
    """a name of STORES"""
    scales: dict[int, np.ndarray] = field(default_factory=dict)
    """of int8: layer number -> (D,) float32, what 1 stands for in each dimension"""

    def reduced(self, rows: np.ndarray, layer: int) -> np.ndarray:
        """Vectors of a layer (S, D) float32 that `check` took -> the same in their type.

        Of int8 a number is divided by its scale, rounded to a whole one, halves to even, and cut at 127.
        """
        if self.store != "int8":
            return np.ascontiguousarray(rows, dtype=STORES[self.store])
        scales = self.scales[layer]
        multiples = np.divide(rows, scales, out=np.zeros(rows.shape, np.float32), where=scales > 0)
        return np.rint(multiples).clip(-MOST, MOST).astype(np.int8)

    def restored(self, rows: np.ndarray, layer: int) -> np.ndarray:
        """What `reduced` gave (S, D) -> float32, (S, D)."""
        numbers = rows.astype(np.float32, copy=False)
        if self.store == "int8":
            numbers *= self.scales[layer]
        return numbers

    def check(self, rows: np.ndarray, layer: int, first: int) -> None:
        """Raise InputError for the first vector of (S, D), sentences first, first + 1, ..., that the type cannot hold.

        float32 takes all, so that what went wrong elsewhere is still there to be seen.
        """
        if self.store == "float32":
            return
        largest = np.abs(rows).max(axis=1)
        with np.errstate(over="ignore"):
            fits = np.isfinite(largest.astype(np.float16) if self.store == "float16" else largest)
        if fits.all():
            return
        row = int(fits.argmin())
        problem = "a number that is not finite: set pool.store to float32 to see it"
        if np.isfinite(largest[row]):
            problem = f"a number of {largest[row]:,.0f}, and float16 ends at 65,504: set pool.store to int8 or float32"
        where = f"the vector of sentence {first + row} at layer {layer}"
        raise InputError(f"pool.store is {self.store}, but {where} has {problem}")


def check_scales(store: str, numbers: int) -> None:
    """Raise InputError for so many numbers of a sentence, over all layers, that a footer cannot hold their scales."""
    if store == "int8" and numbers > MOST_SCALES:
        raise InputError(
            f"pool.store is int8, which keeps a scale for each of the {numbers:,} numbers of a sentence, but at most "
            f"{MOST_SCALES:,} are kept: set it to float16"
        )


def scales_of(largest: np.ndarray) -> np.ndarray:
    """Largest magnitude of each dimension (D,) -> its scale (D,) float32; 0 where all numbers are 0."""
    return (largest / MOST).astype(np.float32)
