"""BlinkDL's RWKV-6 checkpoints (`.pth`, `.safetensors`, one file or a folder of shards) as `Rwkv6ForCausalLM`."""

import pickle
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from pipeline.base.errors import InputError, first_line
from pipeline.models.rwkv6 import Rwkv6ForCausalLM
from pipeline.models.rwkv6_config import Rwkv6Config

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
UNREADABLE = (
    SafetensorError,
    OSError,
    RuntimeError,
    EOFError,
    AssertionError,
    pickle.UnpicklingError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
)
"""what the readers of weights raise for files that are cut, flipped, or something else than tensors"""
TELL_SIZES = (
    "emb.weight",
    "blocks.0.att.time_maa_w1",
    "blocks.0.att.time_decay_w1",
    "blocks.0.att.time_faaaa",
    "blocks.0.ffn.key.weight",
)
"""the matrices whose shapes give the config"""
OUR_NAMES = {"emb.": "embeddings.", ".ln0.": ".pre_ln.", ".att.": ".attention.", ".ffn.": ".feed_forward."}
"""part of a tensor's name at BlinkDL's -> the same in `Rwkv6ForCausalLM`"""
REAL = ("F64", "F32", "F16", "BF16", "torch.float64", "torch.float32", "torch.float16", "torch.bfloat16")
"""types of weights, as safetensors and as torch call them"""
LISTED = 3
"""differences of each kind that an error names"""


def checkpoint_files(path: Path) -> list[Path]:
    """The weight files of a checkpoint: the file itself, or those of a folder (safetensors before pickles), sorted.

    Raises InputError when there are none.
    """
    if path.is_file():
        return [path]
    for suffixes in (SUFFIXES[:1], SUFFIXES[1:]):
        if files := sorted(file for file in path.glob("*") if file.suffix in suffixes):
            return files
    raise InputError(f"no weights in {path}: expected one of *{', *'.join(SUFFIXES)}")


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """All tensors of a checkpoint by name, memory-mapped where the format allows.

    Pickles load with weights_only=True: what is no tensor is refused, and no code in them runs.
    """
    tensors: dict[str, torch.Tensor] = {}
    for file in checkpoint_files(path):
        read = _read_file(file)
        if repeated := tensors.keys() & read.keys():
            raise InputError(
                f"{file} repeats tensors of another shard of the same folder, such as {min(repeated)}: keep one copy"
            )
        tensors |= read
    return tensors


def _read_file(file: Path) -> dict[str, torch.Tensor]:
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        read = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except UNREADABLE as error:
        raise unreadable(str(file), error) from error
    if not isinstance(read, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in read.values()):
        raise InputError(f"{file} is not a mapping of names to tensors: give a checkpoint that is nothing else")
    return read


def types_of(file: Path) -> dict[str, str]:
    """The type of each tensor of a file, without reading them."""
    if file.suffix == ".safetensors":
        with safe_open(file, framework="pt") as tensors:
            return {name: tensors.get_slice(name).get_dtype() for name in tensors.keys()}  # noqa: SIM118
    return {name: str(tensor.dtype) for name, tensor in _read_file(file).items()}


def check_real(path: Path, types: Mapping[str, str]) -> None:
    """Raise InputError for a weight {name: type} that is no real number, which transformers would turn into one."""
    for name, kind in types.items():
        if kind not in REAL:
            held = kind.removeprefix("torch.")
            raise InputError(f"{path}: {name} holds {held}, expected real numbers: give the original weights")


def unreadable(what: str, error: BaseException) -> InputError:
    """The error for weights that cannot be read."""
    return InputError(
        f"{what} cannot be read as weights ({first_line(error)}): is it complete, and nothing but tensors?"
    )


def hf_name(name: str) -> str:
    """BlinkDL's name of a tensor -> the name in `Rwkv6ForCausalLM`."""
    if name == "head.weight":
        return name
    for old, new in OUR_NAMES.items():
        name = name.replace(old, new)
    return "rwkv." + name


def infer_config(path: Path, tensors: Mapping[str, torch.Tensor], overrides: Mapping[str, Any]) -> Rwkv6Config:
    """The `Rwkv6Config` that the shapes of BlinkDL-named tensors imply. Raises InputError when they are not RWKV-6."""
    if missing := [name for name in TELL_SIZES if name not in tensors]:
        raise InputError(
            f"{path} is not an RWKV-6 checkpoint: it has no {', '.join(missing)} "
            "(RWKV-4, 5 and 7 have other tensors; only 6 is read here)"
        )
    shapes = {name: tuple(tensors[name].shape) for name in TELL_SIZES}
    flat = [name for name, shape in shapes.items() if len(shape) != 2 or 0 in shape]
    check_fit(path, [f"{name} is {shapes[name]}, expected a matrix" for name in flat])
    blocks = [int(match[1]) for name in tensors if (match := re.match(r"blocks\.(\d+)\.", name))]
    sizes = {
        "vocab_size": shapes["emb.weight"][0],
        "hidden_size": shapes["emb.weight"][1],
        "num_hidden_layers": 1 + max(blocks),
        "head_size": shapes["blocks.0.att.time_faaaa"][1],
        "intermediate_size": shapes["blocks.0.ffn.key.weight"][0],
        "time_mix_extra_dim": shapes["blocks.0.att.time_maa_w1"][1] // 5,
        "time_decay_extra_dim": shapes["blocks.0.att.time_decay_w1"][1],
    }
    try:
        return Rwkv6Config(**(sizes | dict(overrides)))
    except (TypeError, StrictDataclassError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} cannot be loaded with {dict(overrides)}: {reason}. Mend `config`") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def load_rwkv6(path: str | Path, dtype: torch.dtype = torch.float32, **overrides: Any) -> Rwkv6ForCausalLM:
    """Load a BlinkDL checkpoint.

    `overrides` are `Rwkv6Config` fields that shapes do not tell, such as head_size_divisor. Raises InputError that
    names missing, extra and misshapen tensors.
    """
    path = Path(path)
    tensors = read_tensors(path)
    config = infer_config(path, tensors, overrides)
    with torch.device("meta"):
        model = Rwkv6ForCausalLM(config)
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    check_real(path, {name: str(tensor.dtype) for name, tensor in tensors.items()})
    renamed = {hf_name(name): tensor for name, tensor in tensors.items()}
    check_tensors(path, wanted, {name: tuple(tensor.shape) for name, tensor in renamed.items()})
    model.load_state_dict({name: tensor.to(dtype) for name, tensor in renamed.items()}, assign=True)
    return model


def check_tensors(path: Path, wanted: Mapping[str, tuple[int, ...]], read: Mapping[str, tuple[int, ...]]) -> None:
    """Compare two {name: shape}; InputError lists up to LISTED of each kind of difference."""
    missing = [f"missing {name}" for name in sorted(wanted.keys() - read.keys())]
    extra = [f"extra {name}" for name in sorted(read.keys() - wanted.keys())]
    misshapen = [
        f"{name} is {read[name]}, expected {wanted[name]}"
        for name in sorted(wanted.keys() & read.keys())
        if read[name] != wanted[name]
    ]
    check_fit(path, [*missing[:LISTED], *extra[:LISTED], *misshapen[:LISTED]])


def check_fit(path: Path, problems: Iterable[str]) -> None:
    """Raise InputError where there are problems with the tensors of a checkpoint."""
    if listed := "; ".join(problems):
        raise InputError(f"{path} does not fit the model: {listed}. Is it the right architecture, and complete?")
