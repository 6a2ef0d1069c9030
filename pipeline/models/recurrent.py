"""The recurrent state that a sentence leaves behind in each block, of families that have one.

RWKV-5, 6 and 7 (ours) return it; it is the matrix state of time mixing, (H, N, N), keys by values. Families of
transformers with a state space or linear attention in every block, such as Mamba and Mamba-2, keep it in their cache.
The state of layer l is that of block l after the last token: there is no layer 0.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from pipeline.base.errors import InputError
from pipeline.models.layers import depth_of

CACHES = ("cache_params", "past_key_values")
"""names of a cache in the outputs and among the inputs of a family of transformers"""


def final_states(model: PreTrainedModel, ids: torch.Tensor, wanted: Sequence[int]) -> list[torch.Tensor]:
    """Token ids (B, T) without padding -> the state of each wanted layer after the last token, (B, H, N, M) float32.

    Mamba's state of C channels by N is one matrix, H = 1. InputError for a family that has none, and for a layer
    without one.
    """
    with torch.inference_mode():
        read = states_of(model, ids)
    name, found = type(model).__name__, []
    for layer in wanted:
        state = read[layer - 1] if layer else None
        if state is None:
            raise InputError(
                f"{name} has no recurrent state at layer {layer}: leave it out (dump.layers), or set keep to tokens"
            )
        found.append((state[:, None] if state.ndim == 3 else state).float())
    return found


def states_of(model: PreTrainedModel, ids: torch.Tensor) -> list[torch.Tensor | None]:
    """The state of each block after token ids (B, T), None for a block without one. InputError where none has one."""
    cache = read_into_cache(model, ids)
    states = [_of_layer(layer) for layer in getattr(cache, "layers", [])]
    if len(states) != depth_of(model) or not any(state is not None for state in states):
        raise no_state(model)
    return states


def no_state(model: PreTrainedModel) -> InputError:
    """The error for a family without a recurrent state."""
    return InputError(
        f"{type(model).__name__} ({model.config.model_type}) leaves no recurrent state behind, as RWKV and Mamba do: "
        "set keep to tokens or pooled"
    )


def read_into_cache(model: PreTrainedModel, ids: torch.Tensor, **cache: Any) -> Any:
    """Run the blocks over token ids (B, T), from a cache on if one is given -> the cache afterwards, None without."""
    output = model.base_model(input_ids=ids, use_cache=True, **cache)
    return next((output[key] for key in CACHES if output.get(key) is not None), None)


def _of_layer(layer: Any) -> torch.Tensor | None:
    """The recurrent state of a layer of transformers' cache."""
    return getattr(layer, "recurrent_states", {}).get(0)


def shape_of_state(model: PreTrainedModel, wanted: Sequence[int]) -> tuple[int, ...]:
    """(H, N, M) of the wanted layers, by a pass over one token. InputError as of `final_states`, and where they
    differ.
    """
    ids = torch.zeros(1, 1, dtype=torch.long, device=model.device)
    shapes = {tuple(state.shape[1:]) for state in final_states(model, ids, wanted)}
    if len(shapes) > 1:
        raise InputError(
            f"{type(model).__name__} has recurrent states of {len(shapes)} shapes ({sorted(shapes)}): keep layers of "
            "one (dump.layers)"
        )
    return shapes.pop()
