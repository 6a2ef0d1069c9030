"""The recurrent state that a sentence leaves behind in each block, of families that have one; and going on from it.

RWKV-5, 6 and 7 (ours) return it: the matrix state of time mixing, (H, N, N), keys by values. Families of transformers
with a state space or linear attention, such as Mamba and Mamba-2, keep it in their cache. The state of layer l is that
of block l after the last token: there is no layer 0.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from pipeline.base.errors import InputError
from pipeline.models.layers import caught_layers, depth_of
from pipeline.models.rwkv_model import RwkvModel

CACHES = ("cache_params", "past_key_values")
"""names of a cache in the outputs and among the inputs of a family of transformers"""


def final_states(model: PreTrainedModel, ids: torch.Tensor, wanted: Sequence[int]) -> list[torch.Tensor]:
    """Token ids (B, T) without padding -> the state of each wanted layer after the last token, (B, H, N, M) float32.

    Mamba's state, of C channels by N, is one matrix: H = 1. InputError for a family without states, and for a layer
    without one.
    """
    with torch.inference_mode():
        read = _matrices(model, ids)
    found = []
    for layer in wanted:
        state = read[layer - 1] if layer else None
        if state is None:
            name = type(model).__name__
            raise InputError(f"{name} has no recurrent state at layer {layer}: leave it out (dump.layers)")
        found.append(state.float())
    return found


def shape_of_state(model: PreTrainedModel, wanted: Sequence[int]) -> tuple[int, ...]:
    """(H, N, M) of the wanted layers, by a pass over one token.

    InputError as of `final_states`, and where they differ.
    """
    ids = torch.zeros(1, 1, dtype=torch.long, device=model.device)
    shapes = {tuple(state.shape[1:]) for state in final_states(model, ids, wanted)}
    if len(shapes) > 1:
        raise InputError(
            f"{type(model).__name__} has recurrent states of {len(shapes)} shapes, {sorted(shapes)}: keep layers of "
            "one of them (dump.layers)"
        )
    return shapes.pop()


def echoed_layers(model: PreTrainedModel, ids: torch.Tensor, wanted: Sequence[int]) -> list[torch.Tensor]:
    """Token ids (B, T) -> the wanted layers (B, T, D) of a second pass over the same tokens, which starts from all that
    the first one left in every block: the recurrent state, and the last inputs of token shifts or convolutions.

    RWKV takes the sentence at once. What has a cache takes it token by token, since transformers' Mamba starts a longer
    input from a state of zeros.
    """
    with torch.inference_mode():
        if isinstance(network := model.base_model, RwkvModel):
            states = network(input_ids=ids, return_states=True).states
            return caught_layers(model, wanted, input_ids=ids, initial_states=states)
        name, cache = _cached(model, ids)
        steps = [caught_layers(model, wanted, input_ids=one, use_cache=True, **{name: cache}) for one in ids.split(1, 1)]
        return [torch.cat(tokens, dim=1) for tokens in zip(*steps)]


def _matrices(model: PreTrainedModel, ids: torch.Tensor) -> list[torch.Tensor | None]:
    """The state of each block after token ids (B, T), (B, H, N, M), None for a block without one."""
    if isinstance(network := model.base_model, RwkvModel):
        states = [state.wkv for state in network(input_ids=ids, return_states=True).states]
        if states[0].ndim != 4:  # RWKV-4's is three vectors
            raise no_state(model)
        return states
    _, cache = _cached(model, ids)
    found = [getattr(layer, "recurrent_states", {}).get(0) for layer in cache.layers]
    return [state[:, None] if state is not None and state.ndim == 3 else state for state in found]


def _cached(model: PreTrainedModel, ids: torch.Tensor) -> tuple[str, Any]:
    """Run the blocks over token ids (B, T) -> the name of the cache and the cache. InputError where no block has a
    recurrent state in it.
    """
    output = model.base_model(input_ids=ids, use_cache=True)
    for name in CACHES:
        cache = output.get(name)
        layers = getattr(cache, "layers", [])
        if len(layers) == depth_of(model) and any(getattr(layer, "recurrent_states", {}).get(0) is not None for layer in layers):
            return name, cache
    raise no_state(model)


def no_state(model: PreTrainedModel) -> InputError:
    """The error for a family without a recurrent state."""
    return InputError(
        f"{type(model).__name__} ({model.config.model_type}) leaves no matrix state behind, as RWKV-5 to 7 and Mamba do: "
        "set `keep` to tokens or pooled"
    )
