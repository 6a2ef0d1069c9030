"""A catalogue entry and its weights -> a transformers model in evaluation mode. No remote code, ever.

It is kept apart from `weights`, so that what finds and fetches files is not among the code that decides the bytes of a
dump.
"""

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers
from transformers import AutoModel, AutoModelForCausalLM, PreTrainedModel

from pipeline.base.errors import InputError, one_of
from pipeline.base.machine import quiet_transformers
from pipeline.models.checkpoints import (
    UNREADABLE,
    check_real,
    check_tensors,
    checkpoint_files,
    types_of,
    unpacked,
    unreadable,
)
from pipeline.models.configs import folder_config, no_model, random_config
from pipeline.models.devices import device_of
from pipeline.models.generations import GENERATIONS, load_rwkv
from pipeline.models.rwkv6_recurrence import fused_kernel
from pipeline.models.rwkv_model import register

if TYPE_CHECKING:
    from pipeline.catalog.entries import Model
    from pipeline.models.spread import Spread

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def load(
    entry: "Model", path: Path | None, name: str, dtype: str = "float32", spread: "Spread | None" = None
) -> PreTrainedModel:
    """The model on the CPU, or over several places, in evaluation mode, of weights that `weights.locate` found.

    A folder in the hub's layout is read straight to its places; what else there is goes by way of memory of the host.
    Raises InputError for missing, extra or misshapen tensors, and for families that transformers does not know.
    """
    kind = DTYPES[one_of(dtype, DTYPES, "dump.dtype")]
    for generation in GENERATIONS.values():  # flash-linear-attention puts its classes in their place once imported
        register(generation.network.network_class, generation.network)
    with quiet_transformers():
        model = _loaded(entry, path, name, kind, None if entry.adapter else spread)
        if entry.adapter is not None:
            from pipeline.models.adapters import applied  # peft takes a second

            model = applied(model, Path(entry.adapter), name)
        model = model.eval().requires_grad_(False)
        return model if spread is None else spread.dispatched(model, name)


def _loaded(
    entry: "Model", path: Path | None, name: str, kind: torch.dtype, spread: "Spread | None"
) -> PreTrainedModel:
    if path is None:
        return random_model(entry, name, kind)
    holds_gguf = path.is_dir() and list(path.glob("*.gguf")) and not list(path.glob("*.safetensors"))
    if path.suffix == ".gguf" or holds_gguf:
        raise InputError(f"{path} is GGUF, a format of quantized weights: give the folder that it was made from")
    if path.is_dir() and (path / "config.json").exists():
        return from_folder(path, kind, entry.config, name, spread)
    return load_rwkv(path, kind, **entry.config)


def kernel_of(model: PreTrainedModel) -> str | None:
    """Name and version of the fused kernel that the model will use on its device, None where it uses none."""
    device = device_of(model)
    if model.config.model_type not in ("rwkv5", "rwkv6") or device.type != "cuda":
        return None
    if model.dtype not in (torch.bfloat16, torch.float16) or not fused_kernel(device):
        return None
    return f"flash-linear-attention {importlib.metadata.version('flash-linear-attention')}"


def random_model(entry: "Model", name: str, dtype: torch.dtype) -> PreTrainedModel:
    """Weights drawn on the CPU from the entry's seed: an untrained control of any family that transformers knows."""
    config = random_config(entry.config, name)
    assert entry.random is not None
    with torch.random.fork_rng():
        torch.manual_seed(entry.random)
        try:
            is_causal = type(config) in transformers.MODEL_FOR_CAUSAL_LM_MAPPING
            auto = AutoModelForCausalLM if is_causal else AutoModel
            return auto.from_config(config).to(dtype)
        except (ValueError, TypeError, RuntimeError, AssertionError) as error:
            if isinstance(error, InputError):
                raise
            raise no_model(name, entry.config, error) from error


def from_folder(
    folder: Path, dtype: torch.dtype, overrides: Mapping[str, Any], name: str = "", spread: "Spread | None" = None
) -> PreTrainedModel:
    """A folder in the hub's layout, with its language-model head when it was saved with one."""
    checkpoint_files(folder)
    config = folder_config(folder, overrides)
    architecture = (getattr(config, "architectures", None) or [""])[0]
    auto: Any = AutoModelForCausalLM if architecture.endswith(("ForCausalLM", "LMHeadModel")) else AutoModel
    tensors = unpacked(folder) if config.model_type == "rwkv7" else None
    network = auto if tensors is None else auto._model_mapping[type(config)]  # Auto classes want a folder
    try:
        where = {}
        if spread is not None and tensors is None:
            with torch.device("meta"):
                shapes = auto.from_config(config).to(dtype)
            where = spread.arguments(shapes, name)
        model, report = network.from_pretrained(
            folder if tensors is None else None,
            state_dict=tensors,
            config=config,
            dtype=dtype,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            weights_only=True,
            **where,
        )
    except InputError:
        raise
    except UNREADABLE as error:
        raise unreadable(str(folder), error) from error
    if where:
        model.hf_device_map = where["device_map"]  # transformers leaves it out where all of it is one place
    _check_report(folder, report, base=model.base_model_prefix if auto is AutoModel else None)
    _check_types(folder, model)
    return model


def _check_types(folder: Path, model: PreTrainedModel) -> None:
    """`check_real` for those tensors of a folder that are the model's weights: old checkpoints hold masks as well."""
    state = model.state_dict()
    weights = {name for name, tensor in state.items() if tensor.is_floating_point()}
    for file in checkpoint_files(folder):
        types = types_of(file)
        check_real(file, {n: types[n] for n in types if {n, f"{model.base_model_prefix}.{n}"} & weights})


def _check_report(folder: Path, report: Mapping[str, Any], base: str | None) -> None:
    """Turn what transformers only warns of, tensors that do not fit, into an error.

    `base` is the prefix of the base model's tensors where no head is loaded: then a head that the checkpoint has, or a
    pooler that it lacks, is no harm.
    """
    read_shapes = {name: tuple(shape) for name, shape, _ in report["mismatched_keys"]}
    wanted_shapes = {name: tuple(shape) for name, _, shape in report["mismatched_keys"]}
    missing, extra = set(report["missing_keys"]), set(report["unexpected_keys"])
    if base is not None:
        missing = {name for name in missing if not name.startswith("pooler.")}
        extra = {name for name in extra if name.startswith(base + ".")}
    check_tensors(
        folder,
        wanted=dict.fromkeys(missing, ()) | wanted_shapes,
        read=dict.fromkeys(extra, ()) | read_shapes,
    )
