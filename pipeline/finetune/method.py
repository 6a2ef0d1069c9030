"""Which weights are trained, and how a model is made ready for it."""

import functools
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from pipeline.base.errors import InputError, needs_extra
from pipeline.base.files import replacing
from pipeline.finetune.settings import Finetune
from pipeline.formats.finetunes import ADAPTER, FULL
from pipeline.models.layers import blocks, depth_of

with needs_extra("finetune"):
    from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict

ALPHA = 2
"""alpha / rank of an adapter: what it computes is multiplied by it"""


@dataclass(frozen=True)
class Trainee:
    """A model in training."""

    model: PreTrainedModel
    """what is run"""
    weights: dict[str, torch.Tensor]
    """what is changed, by name"""
    layer: int
    """whose vectors are trained"""
    adapter: PeftModel | None
    """the model in peft's wrapping; None where its own weights are trained"""


def trainee(model: PreTrainedModel, settings: Finetune) -> Trainee:
    """A model made ready for finetune.method. InputError for a layer that it does not have, or that nothing can change.

    lora: matrices A and B (arXiv 2106.09685) beside every linear map of the blocks below the layer: RWKV's receptance,
    key, value, gate and output, or the projections of attention and MLP. B starts at 0, so that the model starts as it
    was. full: the weights of these blocks, and the embeddings of tokens.
    """
    layer = layer_of(model, settings.layer)
    model.requires_grad_(False)
    if settings.method == "full":
        modules = [model.get_input_embeddings(), *blocks(model)[:layer]]
        trained = {id(p) for module in modules for p in module.parameters()}
        weights = {name: p.requires_grad_(True) for name, p in model.named_parameters() if id(p) in trained}
        return Trainee(model, weights, layer, None)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=ALPHA * settings.rank,
        lora_dropout=settings.dropout,
        target_modules=targets(model, layer),
    )
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that Conv1D is transposed, which peft sees to, and what it asks transformers
        torch.manual_seed(settings.seed)
        wrapped = get_peft_model(model, config)
    assert isinstance(wrapped, PeftModel)
    weights = {name: p for name, p in wrapped.named_parameters() if p.requires_grad}
    inner: Any = wrapped.base_model.model
    return Trainee(inner, weights, layer, wrapped)


def layer_of(model: PreTrainedModel, layer: int) -> int:
    """The number of a layer that training can change: 1 to the depth L. InputError for another one."""
    depth = depth_of(model)
    number = layer if layer >= 0 else depth + 1 + layer
    if not 1 <= number <= depth:
        raise InputError(
            f"finetune.layer is {layer}: give 1 to {depth}, or -1 to -{depth} from the last (this model has {depth} "
            "blocks, and layer 0 has no block to train)"
        )
    return number


def targets(model: PreTrainedModel, layer: int) -> list[str]:
    """The names of the linear maps in the blocks below a layer."""
    inside = {id(module) for block in blocks(model)[:layer] for module in block.modules()}
    kinds = (torch.nn.Linear, Conv1D)
    found = [name for name, module in model.named_modules() if id(module) in inside and isinstance(module, kinds)]
    if not found:
        raise InputError(f"{type(model).__name__} has no linear maps that an adapter can stand beside: use method full")
    return found


def recompute_blocks(model: PreTrainedModel) -> None:
    """Let every block forget what it computed, and compute it again on the way back (arXiv 1604.06174)."""
    for block in dict.fromkeys(blocks(model)):
        block.forward = functools.partial(checkpoint, block.forward, use_reentrant=False)


@contextmanager
def dropout_of_embeddings(model: PreTrainedModel, share: float) -> Iterator[bool]:
    """Within the block, dropout after the embeddings of a model without any of its own, such as RWKV or Llama.

    Yields whether it has none. Without it two readings of a sentence would be the same.
    """
    kinds = torch.nn.Dropout
    has_own = any(isinstance(module, kinds) and module.p > 0 for module in model.base_model.modules())
    if has_own:
        yield False
        return

    def drop(module: torch.nn.Module, args: tuple, output: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.dropout(output, share, training=model.training)

    handle = model.get_input_embeddings().register_forward_hook(drop)
    try:
        yield True
    finally:
        handle.remove()


def save(trained: Trainee, weights: Mapping[str, torch.Tensor], base: str, folder: Path) -> None:
    """Write weights of a trainee (by name, as in `Trainee.weights`) as files of `formats.finetunes`."""
    folder.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        for name, parameter in trained.weights.items():
            parameter.copy_(weights[name])
    if trained.adapter is None:
        tensors = {name: parameter.detach().cpu().contiguous() for name, parameter in trained.weights.items()}
        with replacing(folder / FULL) as part:
            save_file(tensors, part)
        return
    state = get_peft_model_state_dict(trained.adapter)
    with replacing(folder / ADAPTER) as part:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}, part)
    config = trained.adapter.peft_config["default"]
    config.base_model_name_or_path = base
    config.inference_mode = True
    config.save_pretrained(str(folder))
