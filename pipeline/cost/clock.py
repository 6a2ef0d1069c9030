"""Time and memory of one encoder, in its own process."""

import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.cost.encoders import Encoder, Variant

Pair = tuple[str, str]
STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Timing:
    """Seconds for each pair, the mean over some pairs."""

    whole: float
    """from two texts to their score"""
    encoding: float | None
    """the same from token ids on; None for an encoder that has no such step"""
    cpu: float
    """of the CPU, in all threads of the process, from the texts on"""


def timed(encoder: Encoder, pairs: Sequence[Pair], variant: Variant, batch_size: int) -> Timing:
    """Compare all pairs, `batch_size` at once -> what each took.

    An encoder that reads text splits it into words itself. Then the words are split once more before, and that time is
    taken off.
    """
    tokenizing, rest = np.zeros(2), np.zeros(2)
    gc.collect()
    for first in range(0, len(pairs), batch_size):
        batch = pairs[first : first + batch_size]
        texts = [text for side in zip(*batch) for text in side]  # all first sentences, then all second ones
        start = _now()
        tokens = encoder.tokenize(texts) if encoder.tokenize else None
        middle = _now()
        encoder.scores(texts if encoder.reads_text else tokens, variant)
        tokenizing += middle - start
        rest += _now() - middle
    tokenizing, rest = tokenizing / len(pairs), rest / len(pairs)
    whole = rest if encoder.reads_text else tokenizing + rest
    return Timing(whole[0], whole[0] - tokenizing[0] if encoder.tokenize else None, whole[1])


def _now() -> np.ndarray:
    """Seconds of the wall clock, and of the CPU in all threads of this process -> (2,)."""
    return np.array([time.perf_counter(), time.process_time()])


def best_batch_size(encoder: Encoder, pairs: Sequence[Pair], sizes: Sequence[int]) -> int:
    """The batch size with the most pairs per second at the deepest variant, the better of two runs of each."""
    deepest = encoder.variants[-1]
    timed(encoder, pairs[:1], deepest, 1)  # what is made at the first call
    took = {size: min(timed(encoder, pairs, deepest, size).whole for _ in range(2)) for size in {1, *sizes}}
    return min(sorted(took), key=lambda size: took[size])


def memory(status: Path = STATUS) -> dict[str, int | None]:
    """Bytes of this process: the most that were resident, files that it maps included (VmHWM), and what is its own
    now, without them (RssAnon). None where the system does not say.
    """
    lines = status.read_text().splitlines() if status.exists() else []
    fields = [line.split() for line in lines]
    values = {field[0]: 1024 * int(field[1]) for field in fields if field[-1] == "kB"}
    return {"peak_bytes": values.get("VmHWM:"), "own_bytes": values.get("RssAnon:")}
