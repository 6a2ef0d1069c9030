"""The value vectors of attention, which value aggregation takes the mean of.

Zhang et al. 2026, arXiv 2602.01572, of which only the abstract could be read: it pools the values of all tokens over
several layers. Here layer l holds v = W_V LN(h_{l-1}) (+ b) of each token in block l, all heads side by side.
The pooling `mean` takes their mean over tokens, `mean_layers` that over tokens and layers. Which layers the authors
take is not known to us.

With grouped queries there are fewer value heads than query heads, so D' is smaller than D. In RWKV-6 (arXiv 2404.05892)
v is the value of time mixing, W_V of a mix of this token and the one before.
"""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from pipeline.base.errors import InputError
from pipeline.readouts.projections import VALUES, found, outputs, width_of
from pipeline.readouts.readout import Readout


def values(model: PreTrainedModel, ids: torch.Tensor, wanted: Sequence[int]) -> list[torch.Tensor]:
    """(B, T) -> (B, T, D') for each wanted layer, D' = value heads x head size."""
    modules, part = found(model, VALUES, "values")
    return [part(output, model) for output in outputs(model, ids, modules, wanted)]


def width(model: PreTrainedModel) -> int:
    """Value heads x head size."""
    modules, part = found(model, VALUES, "values")
    return part(torch.empty(1, width_of(modules[0])), model).shape[-1]


def check(model: PreTrainedModel) -> None:
    """Raise InputError for a family whose values are not known, and for blocks whose values differ in width."""
    widths = [width_of(module) for module in found(model, VALUES, "values")[0]]
    if min(widths) != max(widths):
        raise InputError(
            f"the values of {type(model).__name__} are {min(widths)} to {max(widths)} wide, and layers of a dump have "
            "one width: read it with plain"
        )


VALUE_VECTORS = Readout(
    "values", values, source="arXiv 2602.01572: the values v of attention in block l", width=width, first=1, check=check
)
