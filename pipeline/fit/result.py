"""What the stage fit found, as `formats.fits` writes it. No torch here: nothing is learned for some models."""

from dataclasses import dataclass
from typing import Any

import numpy as np

CONTROL = "it is a control with random weights, which nobody trained (fit.controls)"


@dataclass(frozen=True)
class Fitted:
    """What `formats.fits.write` writes."""

    parameters: dict[str, np.ndarray]
    """pooling -> (runs, layers, ...) float32, as the room pool applies them"""
    layers: np.ndarray
    """(layers,) int64"""
    report: dict[str, Any]
    """of fit.json, without the model; `nothing` says why nothing was learned"""

    @classmethod
    def nothing(cls, why: str, **facts: Any) -> "Fitted":
        """Where there is nothing to learn, or nothing to learn from."""
        return cls({}, np.array([], dtype=np.int64), {"nothing": why, **facts})
