"""What fine-tuning learned, put into the weights that it started from."""

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import PreTrainedModel

from pipeline.base.errors import InputError, first_line, needs_extra
from pipeline.formats.finetunes import ADAPTER, CONFIG, FULL
from pipeline.models.checkpoints import UNREADABLE, check_tensors


def applied(model: PreTrainedModel, folder: Path, name: str) -> PreTrainedModel:
    """A model with a LoRA adapter merged into its weights, or with the weights that were trained in place of its own.

    Raises InputError for a folder that holds neither, and for tensors that are not those of this model.
    """
    if (folder / ADAPTER).exists() and (folder / CONFIG).exists():
        return _with_adapter(model, folder)
    if (folder / FULL).exists():
        return _with_weights(model, folder / FULL)
    raise InputError(f"model {name}: {folder} holds no {ADAPTER} with its {CONFIG}")


def _with_adapter(model: PreTrainedModel, folder: Path) -> Any:
    """W + alpha / rank B A (arXiv 2106.09685), by peft."""
    with needs_extra("finetune"):
        from peft import LoraConfig, get_peft_model, set_peft_model_state_dict

    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if config.get("peft_type") != "LORA":
            raise InputError(
                f"{folder / CONFIG} is of type {config.get('peft_type')!r}: only LoRA adapters are supported"
            )
        known = {field: config[field] for field in config.keys() & LoraConfig.__dataclass_fields__.keys()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the base has another name here, and what peft asks transformers
            wrapped = get_peft_model(model, LoraConfig(**known))
        tensors = load_file(folder / ADAPTER)
    except InputError:
        raise
    except UNREADABLE as error:
        raise InputError(f"{folder} holds no adapter of this model that can be read ({first_line(error)})") from error
    wanted = {name: tuple(p.shape) for name, p in wrapped.named_parameters() if "lora_" in name}
    shapes = {name.replace(".default.weight", ".weight"): shape for name, shape in wanted.items()}
    read = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    check_tensors(folder / ADAPTER, wanted=shapes, read=read)
    set_peft_model_state_dict(wrapped, tensors)
    return wrapped.merge_and_unload()


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
