"""The recurrent state that a sentence leaves behind in each block, of families that have one; and going on from it.

RWKV-5, 6 and 7 (ours) return it: the matrix state of time mixing, (H, N, N), keys by values. Families of transformers
with a state space or linear attention in every block, such as Mamba and Mamba-2, keep it in their cache. The state of
layer l is that of block l after the last token: there is no layer 0.
"""

import functools
import inspect
from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache, PreTrainedModel

from pipeline.base.errors import InputError
from pipeline.models.devices import device_of
from pipeline.models.layers import blocks, caught_layers, depth_of
from pipeline.models.rwkv_model import RwkvModel
from pipeline.models.rwkv_parts import State

CACHES = ("cache_params", "past_key_values")
"""names of a cache among the inputs of a family of transformers"""


def final_states(model: PreTrainedModel, ids: torch.Tensor, wanted: Sequence[int]) -> list[torch.Tensor]:
    """Token ids (B, T) without padding -> the state of each wanted layer after the last token, (B, H, N, M) float32.

    Mamba's state, of C channels by N, is one matrix: H = 1. Nothing is computed after the last wanted layer. InputError
    for a family without such states.
    """
    with torch.inference_mode():
        if isinstance(model.base_model, RwkvModel):
            states = [state.wkv for state in _rwkv_states(model, ids, max(wanted)) if state]
        else:
            cache = _cache(model, ids, max(wanted))[1]
            states = [state for layer in cache.layers if (state := _of_layer(layer)) is not None]
    if any(state.ndim != 4 for state in states):  # RWKV-4's is three vectors
        raise no_state(model)
    return [states[layer - 1].float() for layer in wanted]


@functools.lru_cache(maxsize=1)
def shape_of_state(model: PreTrainedModel) -> tuple[int, ...]:
    """(H, N, M) of a model's states, by a pass over one token.

    InputError for a family without, or of several shapes.
    """
    ids = torch.zeros(1, 1, dtype=torch.long, device=device_of(model))
    shapes = {tuple(state.shape[1:]) for state in final_states(model, ids, range(1, depth_of(model) + 1))}
    if len(shapes) > 1:
        raise InputError(f"{type(model).__name__} has states of several shapes, {sorted(shapes)}: expected one")
    return shapes.pop()


def echoed_layers(model: PreTrainedModel, ids: torch.Tensor, wanted: Sequence[int]) -> list[torch.Tensor]:
    """Token ids (B, T) -> the wanted layers (B, T, D) of a second pass over the same tokens, which starts from all that
    the first one left in every block: the recurrent state, and the last inputs of token shifts or convolutions.

    RWKV takes the sentence at once. What has a cache takes it token by token, since transformers' Mamba starts a longer
    input from a state of zeros.
    """
    with torch.inference_mode():
        if isinstance(model.base_model, RwkvModel):
            states = _rwkv_states(model, ids, max(*wanted, 1))
            return caught_layers(model, wanted, input_ids=ids, initial_states=states)
        name, cache = _cache(model, ids, max(*wanted, 1))
        more = {"use_cache": True, name: cache}
        steps = [caught_layers(model, wanted, input_ids=token, **more) for token in ids.split(1, dim=1)]
        return [torch.cat(tokens, dim=1) for tokens in zip(*steps)]


def check_state(model: PreTrainedModel) -> None:
    """Raise InputError for a family without a state of one shape in every block."""
    shape_of_state(model)


def check_echo(model: PreTrainedModel) -> None:
    """Raise InputError for a family that cannot go on from what it has read."""
    if not isinstance(model.base_model, RwkvModel):
        shape_of_state(model)


def _rwkv_states(model: PreTrainedModel, ids: torch.Tensor, last: int) -> list[State | None]:
    """What each block knows after token ids (B, T), None for those after layer `last`, which are not run."""
    states: dict[int, State] = {}
    stack = blocks(model)
    hooks = [
        block.register_forward_hook(lambda _, args, output, number=number: states.update({number: output[1]}))
        for number, block in enumerate(stack[:last])
    ]
    try:
        caught_layers(model, [last], input_ids=ids)
    finally:
        for hook in hooks:
            hook.remove()
    return [states.get(number) for number in range(len(stack))]


def _cache(model: PreTrainedModel, ids: torch.Tensor, last: int) -> tuple[str, Any]:
    """Run the blocks up to layer `last` over token ids (B, T) -> the name of the cache, and the cache.

    It has a state of each of these blocks; InputError for a family without.
    """
    takes = inspect.signature(model.base_model.forward).parameters
    name = next((name for name in CACHES if name in takes), None)
    if name is None:
        raise no_state(model)
    cache = DynamicCache(config=model.config)
    caught_layers(model, [last], input_ids=ids, use_cache=True, **{name: cache})
    if len(cache.layers) != depth_of(model) or any(_of_layer(layer) is None for layer in cache.layers[:last]):
        raise no_state(model)
    return name, cache


def _of_layer(layer: Any) -> torch.Tensor | None:
    """The recurrent state in a layer of a cache, (B, H, N, M); None where there is none."""
    state = getattr(layer, "recurrent_states", {}).get(0)
    return state[:, None] if state is not None and state.ndim == 3 else state


def no_state(model: PreTrainedModel) -> InputError:
    """The error for a family without a recurrent state in every block."""
    return InputError(
        f"{type(model).__name__} ({model.config.model_type}) does not leave a matrix state behind in every block, as "
        "RWKV-5 to 7 and Mamba do: set its `keep` to tokens or pooled, its `readout` to plain"
    )
