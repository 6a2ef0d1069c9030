"""The hidden layers of contract C1: the residual stream between blocks."""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from pipeline.models.layers import hidden_layers
from pipeline.readouts.readout import Readout


def plain(model: PreTrainedModel, ids: torch.Tensor, wanted: Sequence[int]) -> list[torch.Tensor]:
    """(B, T) -> (B, T, D) for each wanted layer: h_l, what leaves block l; h_0, what enters the first."""
    return hidden_layers(model, ids, wanted)


PLAIN = Readout("plain", plain, source="contract C1: the residual stream h_l")
