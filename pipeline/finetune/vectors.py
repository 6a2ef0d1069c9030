"""Token ids -> the pooled vectors of one layer, with gradients."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from transformers import PreTrainedModel

from pipeline.models.layers import caught_layers

Pool = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""states (B, T, D), the first token that is pooled (B,) and the one after the last (B,) -> vectors (B, D)"""


def mean(states: torch.Tensor, start: torch.Tensor, stop: torch.Tensor) -> torch.Tensor:
    """The mean over tokens."""
    at = torch.arange(states.shape[1], device=states.device)
    weights = ((start[:, None] <= at) & (at < stop[:, None]))[..., None].to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1)


def first(states: torch.Tensor, start: torch.Tensor, stop: torch.Tensor) -> torch.Tensor:
    """The first token."""
    return states[torch.arange(len(states), device=states.device), start]


def last(states: torch.Tensor, start: torch.Tensor, stop: torch.Tensor) -> torch.Tensor:
    """The last token."""
    return states[torch.arange(len(states), device=states.device), stop - 1]


POOLINGS: dict[str, Pool] = {"mean": mean, "first": first, "last": last}
"""the names of settings.POOLINGS; `pipeline.pool` has the same for what was dumped"""
ON_CPU, ON_GPU = 4, 1
"""parts of a batch: a CPU pays for what is padded, a GPU for every pass however small"""


def padded(ids: Sequence[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids of B sentences -> (B, T), padded on the right with 0, and the mask (B, T) int64, 1 for a token."""
    tensors = [torch.from_numpy(of_sentence).long() for of_sentence in ids]
    masks = [torch.ones_like(tensor) for tensor in tensors]
    pad = torch.nn.utils.rnn.pad_sequence
    return pad(tensors, batch_first=True), pad(masks, batch_first=True)


def vectors(
    model: PreTrainedModel, ids: Sequence[np.ndarray], layer: int, pooling: str, spans: np.ndarray | None = None
) -> torch.Tensor:
    """Token ids of S sentences -> (S, D) float32 of a layer (C1), in their order.

    spans (S, 2): the first token of each that is pooled, and the one after the last; None: all are. They are read in
    parts by length, so that little is padded. Padding is on the right and masked.
    """
    lengths = np.array([len(of_sentence) for of_sentence in ids])
    bounds = torch.from_numpy(np.stack([np.zeros_like(lengths), lengths], axis=1) if spans is None else spans)
    order = np.argsort(lengths, kind="stable")
    parts = ON_GPU if model.device.type == "cuda" else ON_CPU
    pooled = []
    for part in np.array_split(order, min(parts, len(order))):
        tokens, mask = (tensor.to(model.device) for tensor in padded([ids[i] for i in part]))
        given = {"input_ids": tokens} if bool(mask.all()) else {"input_ids": tokens, "attention_mask": mask}
        (states,) = caught_layers(model, [layer], **given)
        start, stop = bounds[part].long().to(model.device).unbind(1)
        pooled.append(POOLINGS[pooling](states.to(torch.promote_types(states.dtype, torch.float32)), start, stop))
    back = torch.from_numpy(np.argsort(order)).to(model.device)
    return torch.cat(pooled).index_select(0, back)
