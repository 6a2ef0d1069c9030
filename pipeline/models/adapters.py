"""What fine-tuning learned, put into the weights that it started from."""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from pipeline.base.errors import InputError, first_line
from pipeline.formats.finetunes import ADAPTER, CONFIG, FULL
from pipeline.models.checkpoints import UNREADABLE, check_tensors

PREFIX = "base_model.model."
"""what peft puts before the name of a module"""
NOT_MERGED = (
    *("alora_invocation_tokens", "arrow_config", "kasa_config", "layer_replication", "lora_bias", "modules_to_save"),
    *("use_bdlora", "use_dora", "use_qalora"),
)
"""fields of peft's config that make an adapter more than B A beside linear maps"""
STARTS = (True, False, None, "eva", "gaussian", "mica", "orthogonal")
"""values of init_lora_weights with which B A is learned beside the weights of the base as they were"""


def applied(model: PreTrainedModel, folder: Path, name: str) -> PreTrainedModel:
    """A model with a LoRA adapter merged into its weights, or with the weights that were trained in place of its own.

    Raises InputError for a folder that holds neither, and for tensors that are not those of this model.
    """
    if (folder / ADAPTER).exists() and (folder / CONFIG).exists():
        return _with_adapter(model, folder)
    if (folder / FULL).exists():
        return _with_weights(model, folder / FULL)
    raise InputError(f"model {name}: {folder} holds no {ADAPTER} with its {CONFIG}")


def _with_adapter(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """W + s B A for each adapted map (arXiv 2106.09685): W (out, in), B (out, rank), A (rank, in), s of `_scale`."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        _check_config(folder / CONFIG, config)
        tensors = load_file(folder / ADAPTER)
    except InputError:
        raise
    except (*UNREADABLE, AttributeError) as error:
        raise InputError(f"{folder} holds no adapter of this model that can be read ({first_line(error)})") from error
    kinds = (torch.nn.Linear, Conv1D)
    maps = {name: module for name, module in model.named_modules() if isinstance(module, kinds)}
    adapted = {name: maps[name] for name in maps if any(side in tensors for side in _sides(name))}
    wanted: dict[str, tuple[int, ...]] = {}
    for name, module in adapted.items():
        down, up = _sides(name)
        rank = next(iter(tensors[down].shape), 0) if down in tensors else 0
        inputs, outputs = module.weight.shape if isinstance(module, Conv1D) else module.weight.shape[::-1]
        wanted |= {down: (rank, inputs), up: (outputs, rank)}
    read = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    check_tensors(folder / ADAPTER, wanted or {"any lora_A": ()}, read)
    with torch.no_grad():
        for name, module in adapted.items():
            a, b = (tensors[side].float() for side in _sides(name))
            change = _scale(config, name, len(a)) * (b @ a)  # (out, in)
            module.weight += (change.T if isinstance(module, Conv1D) else change).to(module.weight.dtype)
    return model


def _sides(module: str) -> tuple[str, str]:
    """The names of A and B of a module in the file of an adapter."""
    return f"{PREFIX}{module}.lora_A.weight", f"{PREFIX}{module}.lora_B.weight"


def _scale(config: Mapping[str, Any], module: str, rank: int) -> float:
    """alpha / rank, or alpha / sqrt(rank) (arXiv 2312.03732); a module may have an alpha of its own."""
    own = config.get("alpha_pattern") or {}
    alphas = [alpha for pattern, alpha in own.items() if re.match(rf"(.*\.)?({pattern})$", module)]
    alpha = alphas[0] if alphas else config["lora_alpha"]
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _check_config(file: Path, config: Mapping[str, Any]) -> None:
    """Raise InputError for an adapter that is not W + s B A."""
    if config.get("peft_type") != "LORA":
        raise InputError(f"{file} is of type {config.get('peft_type')!r}: only LoRA adapters are supported")
    more = [name for name in NOT_MERGED if config.get(name)]
    if config.get("init_lora_weights") not in STARTS:
        more.append("init_lora_weights")
    if not isinstance(config.get("lora_alpha"), int | float):
        raise InputError(f"{file} has lora_alpha {config.get('lora_alpha')!r}, expected a number: take the file anew")
    if more:
        raise InputError(
            f"{file} sets {more[0]} to {config[more[0]]!r}: only plain LoRA is merged here. Merge it with peft "
            "(merge_and_unload, save_pretrained) and give the folder that this makes as `path`"
        )


def _with_weights(model: PreTrainedModel, file: Path) -> PreTrainedModel:
    try:
        tensors = load_file(file)
    except UNREADABLE as error:
        raise InputError(f"{file} cannot be read ({first_line(error)})") from error
    own = dict(model.named_parameters())
    check_tensors(
        file,
        wanted={name: tuple(own[name].shape) for name in own.keys() & tensors.keys()},
        read={name: tuple(tensor.shape) for name, tensor in tensors.items()},
    )
    with torch.no_grad():
        for name, tensor in tensors.items():
            own[name].copy_(tensor)
    return model
