"""Arrays as text in a page: little-endian numbers in base64, which JavaScript reads without parsing them one by one."""

import base64
import math
from typing import Any

import numpy as np

MOST = 65535
"""steps of 16 bits"""
MOST_DECIMALS = 12


def packed(values: np.ndarray, kind: str) -> str:
    """Whole numbers as base64 of a NumPy type such as `u2`, in the order of bytes of every browser."""
    return base64.b64encode(np.ascontiguousarray(values).astype(f"<{kind}").tobytes()).decode()


def unpacked(text: str, kind: str) -> np.ndarray:
    """What `packed` was given."""
    return np.frombuffer(base64.b64decode(text), f"<{kind}")


def decimal(values: np.ndarray) -> dict[str, Any]:
    """Scores (P,) -> whole steps of a power of ten above the smallest, {decimals, offset, steps}.

    The score of a pair is (offset + step) / 10^decimals. So what the page prints is the score rounded to so many
    decimals, as many as 16 bits can tell apart over the range of these scores.
    """
    low, high = float(values.min()), float(values.max())
    width = max(high - low, 10.0**-MOST_DECIMALS)
    decimals = min(MOST_DECIMALS, math.floor(math.log10((MOST - 1) / width)))
    steps = np.rint(values * 10.0**decimals)
    offset = steps.min()
    return {"decimals": decimals, "offset": int(offset), "steps": packed(steps - offset, "u2")}


def decoded(column: dict[str, Any]) -> np.ndarray:
    """What the page shows of `decimal` (P,)."""
    return (column["offset"] + unpacked(column["steps"], "u2").astype(np.int64)) / 10.0 ** column["decimals"]
