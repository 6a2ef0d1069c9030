"""Sufficient statistics of the fixed poolings: what a dump keeps of a sentence when its token states do not fit a disk.

A row is a sentence: sentence_id (int64), tokens (int32), and for each layer one column `layer_00_NAME` for each NAME
of STATISTICS. All are computed from the states as a dump of tokens would have stored them, so that pooling from
either kind gives the same vectors within the rounding of a float32 sum.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from pipeline.formats import states

if TYPE_CHECKING:
    import torch

STATISTICS: dict[str, tuple[Callable, bool]] = {
    # name -> ((B, T, D) tensor -> (B, D) or (B,)), whether it is a state and so has the stored type
    "rest_sum": (lambda h: h[:, 1:].sum(1), False),  # without the first token, whose outlying values drown the others
    "position_sum": (lambda h: (h * h.new_ones(h.shape[1]).cumsum(0)[:, None]).sum(1), False),
    "first": (lambda h: h[:, 0], True),
    "last": (lambda h: h[:, -1], True),
    "max": (lambda h: h.amax(1), True),
    "squared_norm": (lambda h: h.square().sum((1, 2)), False),
}


def schema(layers: list[int], dim: int, store: str) -> pa.Schema:
    """Arrow schema for layer numbers, hidden size and stored type of states; sums are float32."""
    fields = [("sentence_id", pa.int64()), ("tokens", pa.int32())]
    for layer in layers:
        for name, (_, is_state) in STATISTICS.items():
            kind = pa.from_numpy_dtype(states.STORES[store if is_state else "float32"])
            column = kind if name == "squared_norm" else pa.list_(kind, dim)
            fields.append((f"{states.layer_name(layer)}_{name}", column))
    return pa.schema(fields)


def of(layer: "torch.Tensor", kind: "torch.dtype") -> list["torch.Tensor"]:
    """One layer (B, T, D), rounded to the stored type -> the statistics in the order of STATISTICS."""
    rounded = layer.to(kind).float()
    return [function(rounded) for function, _ in STATISTICS.values()]


def read(batch: pa.RecordBatch, name: str, statistic: str) -> np.ndarray:
    """A statistic of one layer (`layer_00`) of a record batch, (S, D) or (S,) float32."""
    column = batch[f"{name}_{statistic}"]
    is_vector = pa.types.is_fixed_size_list(column.type)
    return (states.values(column) if is_vector else column.to_numpy()).astype("float32")
