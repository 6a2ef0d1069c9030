"""The unembedding of one model, taken apart: `data/unembeddings/MODEL.safetensors`.

    directions       (D, D) float32  its right singular vectors, one in each row, those of the largest values first
    singular_values  (D,) float32    descending
    gain             (D,) float32    of the norm between the last layer and the unembedding

The metadata has JSON under `about`: the model's name, the sha256 of the arrays, and `centred`, whether that norm
subtracts the mean of a state first, as a LayerNorm does and an RMSNorm does not. For a model without an unembedding
there are no arrays, and `nothing` says why.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from pipeline.base.files import replacing
from pipeline.formats.damage import absent, damaged, foreign

ARRAYS = ("directions", "gain", "singular_values")


@dataclass(frozen=True)
class Unembedding:
    """What makes logits of a state h of the last layer: W norm(h), W (V, D), norm(h) = gain * h / length(h) + bias."""

    directions: np.ndarray
    """(D, D) a right singular vector of W in each row, those of the largest singular values first"""
    singular_values: np.ndarray
    """(D,) descending"""
    gain: np.ndarray
    """(D,)"""
    centred: bool
    """whether the norm subtracts the mean over the dimensions of h first"""


def write(path: str | Path, unembedding: Unembedding | str, model: str) -> None:
    """An unembedding, or why a model has none."""
    tensors: dict[str, np.ndarray] = {}
    about: dict[str, object] = {"model": model}
    if isinstance(unembedding, str):
        about["nothing"] = unembedding
    else:
        tensors = {name: np.ascontiguousarray(getattr(unembedding, name), np.float32) for name in ARRAYS}
        about["centred"] = unembedding.centred
    with replacing(path) as part:
        about["sha256"] = _digest(tensors)
        save_file(tensors, part, metadata={"about": json.dumps(about)})  # of several keys the order would be random


def read(path: str | Path, model: str) -> Unembedding | None:
    """The unembedding of a model; None where it has none. InputError for a file that is damaged or of another model."""
    stage = f"dump@{model}"
    if not Path(path).is_file():
        raise absent(path, stage)
    try:
        with safe_open(path, "numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            about = json.loads((file.metadata() or {})["about"])
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise damaged(path, f"cannot be read ({error})", stage) from error
    expected = () if "nothing" in about else ARRAYS
    if sorted(tensors) != list(expected) or about.get("sha256") != _digest(tensors):
        raise damaged(path, "is not what was written", stage)
    if about.get("model") != model:
        raise foreign(path, f"is the unembedding of {about.get('model')}", stage)
    return None if "nothing" in about else Unembedding(**tensors, centred=about["centred"])


def _digest(tensors: dict[str, np.ndarray]) -> str:
    total = hashlib.sha256()
    for name in sorted(tensors):
        total.update(f"{name} {tensors[name].dtype} {tensors[name].shape}".encode() + tensors[name].tobytes())
    return total.hexdigest()
