"""Where the blocks of a family keep attention's value and output projections, and what these give in one pass.

VALUES and OUTPUTS map the path of a module within a block to what of its output is meant. The names are those of
transformers 5 and of our RWKV. A name that several families use for different things stands with its family.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from pipeline.base.errors import InputError
from pipeline.models.layers import blocks

Part = Callable[[torch.Tensor, PreTrainedModel], torch.Tensor]
"""what a projection gives (B, T, E), and the model -> the part of it that is meant, (B, T, D')"""


def whole(x: torch.Tensor, model: PreTrainedModel) -> torch.Tensor:
    """All of it."""
    return x


def last_third(x: torch.Tensor, model: PreTrainedModel) -> torch.Tensor:
    """[q, k, v], each D wide -> v."""
    return x[..., 2 * x.shape[-1] // 3 :]


def third_of_heads(x: torch.Tensor, model: PreTrainedModel) -> torch.Tensor:
    """[q_1, k_1, v_1, q_2, k_2, v_2 ...] of the heads -> v_1, v_2 ... side by side."""
    heads = model.config.get_text_config().num_attention_heads
    return x.unflatten(-1, (heads, 3, -1))[..., 2, :].flatten(-2)


VALUES: dict[str, tuple[str, Part]] = {
    "self_attn.v_proj": ("", whole),  # Llama, Mistral, Qwen2, Qwen3, Gemma, OPT ...
    "attention.value": ("", whole),  # RWKV
    "attention.self.value": ("", whole),  # BERT, RoBERTa
    "attn.c_attn": ("gpt2", last_third),
    "attention.query_key_value": ("gpt_neox", third_of_heads),
}
"""path in a block -> the family that it is known of, all where that is empty, and the part that is the values"""
OUTPUTS: dict[str, tuple[str, Part]] = {
    "self_attn.o_proj": ("", whole),
    "self_attn.out_proj": ("", whole),  # OPT
    "attention.output": ("", whole),  # RWKV
    "attention.output.dense": ("", whole),  # BERT, RoBERTa
    "attn.c_proj": ("gpt2", whole),
    "attention.dense": ("gpt_neox", whole),
}
"""the same of the output projection"""


def found(model: PreTrainedModel, table: Mapping[str, tuple[str, Part]], what: str) -> tuple[list[nn.Module], Part]:
    """The projection of each block, in their order, and the part of it that is meant by `what`, the readout.

    InputError where a block has none that is known.
    """
    family, modules, parts = model.config.model_type, [], []
    for number, block in enumerate(blocks(model), 1):
        inside = dict(block.named_modules())
        for path, (of_family, part) in table.items():
            if of_family in ("", family) and isinstance(inside.get(path), nn.Linear | Conv1D):
                modules.append(inside[path])
                parts.append(part)
                break
        else:
            raise InputError(
                f"{type(model).__name__} has no {what} that is known: block {number} has none of {', '.join(table)} "
                "of their families. Read it with plain, or add its path to pipeline/readouts/projections.py"
            )
    return modules, parts[0]


def width_of(module: nn.Module) -> int:
    """What a projection gives for a token."""
    return int(module.nf if isinstance(module, Conv1D) else module.out_features)  # type: ignore[arg-type]


class _EnoughError(Exception):
    """Raised by a hook to leave the forward pass."""


def outputs(
    model: PreTrainedModel, ids: torch.Tensor, modules: Sequence[nn.Module], wanted: Sequence[int]
) -> list[torch.Tensor]:
    """What the modules of some blocks (numbered from 1) give in one pass over ids (B, T), each (B, T, E).

    Nothing is computed after the last of them. Raises InputError where they do not run one after the other.
    """
    kept: list[torch.Tensor] = []
    ran = 0

    def keep(module: nn.Module, args: tuple, output: Any) -> None:
        nonlocal ran
        if ran >= len(modules) or module is not modules[ran]:
            raise InputError(f"{type(model).__name__} does not run its {len(modules)} blocks one after the other")
        ran += 1
        if ran in wanted:
            kept.append(output)
        if ran == max(wanted):
            raise _EnoughError

    handles = [module.register_forward_hook(keep) for module in dict.fromkeys(modules)]
    try:
        model.base_model(input_ids=ids)
    except _EnoughError:
        return kept
    finally:
        for handle in handles:
            handle.remove()
    raise InputError(f"{type(model).__name__} ran {ran} of its {len(modules)} blocks: layers cannot be told apart")
