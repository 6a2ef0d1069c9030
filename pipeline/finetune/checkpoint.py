"""Where a run stands, on disk after each epoch, under a key of everything that determines its result."""

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.base.errors import first_line
from pipeline.base.files import replacing
from pipeline.finetune.learning import Learning
from pipeline.finetune.method import Trainee
from pipeline.finetune.settings import Finetune

Log = Callable[[str], None]


@dataclass
class Progress:
    """What a checkpoint holds."""

    weights: dict[str, torch.Tensor]
    """of the epoch that was best on the held-out fold"""
    history: list[dict[str, float]] = field(default_factory=list)
    """of each epoch, 0 first: its number, the mean loss, and rho of the held-out pairs"""

    @property
    def best(self) -> dict[str, float]:
        """The epoch whose weights are kept: the first with the largest rho."""
        return max(self.history, key=lambda row: np.nan_to_num(row["rho"], nan=-math.inf))


def snapshot(trainee: Trainee) -> dict[str, torch.Tensor]:
    """A copy of the weights in training."""
    return {name: parameter.detach().cpu().clone() for name, parameter in trainee.weights.items()}


def save(path: Path, trainee: Trainee, optimizer: torch.optim.Optimizer, done: Progress) -> None:
    """Write a checkpoint."""
    states = {
        "now": snapshot(trainee),
        "optimizer": optimizer.state_dict(),
        "weights": done.weights,
        "history": done.history,
    }
    with replacing(path) as part:
        torch.save(states, part)


def load(path: Path, trainee: Trainee, optimizer: torch.optim.Optimizer, log: Log) -> Progress | None:
    """Go back to a checkpoint; None where there is none, or it cannot be read."""
    if not path.exists():
        return None
    try:
        states = torch.load(path, map_location="cpu", weights_only=True)
        with torch.no_grad():
            for name, parameter in trainee.weights.items():
                parameter.copy_(states["now"][name])
        optimizer.load_state_dict(states["optimizer"])
    except Exception as error:  # a damaged file raises anything
        log(f"{path} cannot be read ({first_line(error)}): starting anew")
        return None
    log(f"going on after epoch {len(states['history']) - 1}")
    return Progress(states["weights"], states["history"])


def key_of(fingerprint: dict[str, Any], learning: Learning, settings: Finetune, code: dict[str, str]) -> str:
    """What determines the result, as a name: weights, token ids, pairs, settings, code and the version of torch."""
    digest = hashlib.sha256()
    for array in (learning.pairs.first, learning.pairs.second, learning.labels, learning.spans, *learning.ids):
        digest.update(str(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    parts = {
        "weights": fingerprint,
        "pairs": digest.hexdigest(),
        "settings": asdict(settings),
        "code": code,
        "torch": torch.__version__,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]
