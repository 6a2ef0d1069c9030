"""The config of a model, from a catalogue entry or a folder in the hub's layout; what cannot be run is said here."""

import dataclasses
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, AutoModel, PreTrainedConfig

from pipeline.base.errors import InputError, did_you_mean, first_line

MOST_BLOCKS = 1000
"""more than any published model has"""
OLD_NAMES = ("rope_theta", "rope_scaling")
"""fields that transformers still takes under their names of version 4"""


def random_config(fields: Mapping[str, Any], name: str) -> PreTrainedConfig:
    """The config of a control with random weights, of a catalogue entry's `config`."""
    if "model_type" not in fields:
        raise InputError(
            f"model {name} is random but has no config.model_type: give it, such as rwkv6, and the sizes in "
            "catalog.yaml"
        )
    sizes = {field: value for field, value in fields.items() if field != "model_type"}
    try:
        config = AutoConfig.for_model(fields["model_type"], **sizes)
    except (ValueError, TypeError, StrictDataclassError) as error:
        if isinstance(error, InputError):
            raise
        raise no_model(name, fields, error) from error
    check_fields(type(config), sizes, f"model {name}")
    config = _settled(config)
    check_sizes(config, f"model {name}")
    return config


def no_model(name: str, fields: Mapping[str, Any], error: BaseException) -> InputError:
    """The error for sizes of which transformers makes no model."""
    reason = " ".join(str(error).split())
    return InputError(f"model {name}: transformers makes no model of {dict(fields)}: {reason}")


def folder_config(folder: Path, overrides: Mapping[str, Any]) -> PreTrainedConfig:
    """The config of a folder, with fields set by the catalogue. InputError for weights that are not all of a model."""
    if (folder / "adapter_config.json").exists():
        raise InputError(
            f"{folder} holds a LoRA adapter (adapter_config.json), not the weights of a model: give this folder as "
            "`adapter` in catalog.yaml, and the model that it was trained on as `path` or `hub`"
        )
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, **overrides)
    except (ValueError, TypeError, OSError, StrictDataclassError) as error:
        raise InputError(
            f"no model can be loaded from {folder} without remote code: transformers does not know its family "
            f"({first_line(error)})"
        ) from error
    if (quantized := getattr(config, "quantization_config", None)) is not None:
        method = quantized.get("quant_method") if isinstance(quantized, dict) else type(quantized).__name__
        raise InputError(f"the weights in {folder} are quantized ({method}): give those that they were made from")
    check_fields(type(config), overrides, f"`config` of {folder}")
    return _settled(config)


def _settled(config: PreTrainedConfig) -> PreTrainedConfig:
    try:
        config.get_text_config()
    except ValueError as error:  # MusicGen's encoder reads text, and its decoder codes of sound
        raise InputError(f"{config.model_type} is not one language model, but several") from error
    if hasattr(config, "rescale_every"):
        config.rescale_every = 0  # RWKV-4 would halve its residual stream every few blocks
    config.use_cache = False
    return config


def check_fields(kind: type[PreTrainedConfig], fields: Iterable[str], what: str) -> None:
    """Raise InputError for a field that a family's config does not have: transformers keeps it and uses it nowhere."""
    known = [field.name for field in dataclasses.fields(kind)] + list(kind.attribute_map)
    if unknown := [field for field in fields if field not in (*known, *OLD_NAMES)]:
        near = did_you_mean(unknown[0], known).partition("?")
        hint = f"{near[0]}?" if near[1] else "see its config class in transformers for the fields that it has"
        raise InputError(f"{what}: a config of {kind.model_type} has no {unknown[0]!r}: {hint}")


def check_sizes(config: PreTrainedConfig, what: str) -> None:
    """Raise InputError for sizes that no model has, or that this machine has no memory for."""
    text = config.get_text_config()
    for size in ("hidden_size", "num_hidden_layers", "vocab_size"):
        if isinstance(value := getattr(text, size, None), int) and value < 1:
            raise InputError(f"{what}: {size} is {value}, expected at least 1")
    depth = getattr(text, "num_hidden_layers", 1)
    if isinstance(depth, int) and depth > MOST_BLOCKS:
        raise InputError(f"{what}: num_hidden_layers is {depth}, expected at most {MOST_BLOCKS}")
    try:
        with torch.device("meta"):
            numbers = sum(tensor.numel() for tensor in AutoModel.from_config(config).parameters())
    except Exception:  # not all families can be made without memory; loading will say what is wrong
        return
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if 4 * numbers > memory:
        raise InputError(
            f"{what} has {numbers:.3g} parameters, {4 * numbers / 1e9:.0f} GB in float32; this machine has "
            f"{memory / 1e9:.0f} GB of memory: give smaller sizes"
        )
