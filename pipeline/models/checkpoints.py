"""Files of weights (`.safetensors`, `.pth`, one file or a folder of shards): nothing in them is run."""

import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from pipeline.base.errors import InputError, first_line

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
REAL = ("F64", "F32", "F16", "BF16", "torch.float64", "torch.float32", "torch.float16", "torch.bfloat16")
"""types of weights, as safetensors and as torch call them"""
LISTED = 3
"""differences of each kind that an error names"""
PACKED, UNPACKED = ".attn.x_x", (".attn.x_r", ".attn.x_w", ".attn.x_k", ".attn.x_v", ".attn.x_a", ".attn.x_g")
"""of RWKV-7 in the hub's layout: endings of names"""


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


def unpacked(folder: Path) -> dict[str, torch.Tensor] | None:
    """The tensors of a folder of RWKV-7 in which the six mixes of a block are one, (6, D) or (6, 1, 1, D), apart.

    Early versions of flash-linear-attention wrote `x_x`, its RWKV7Model.load_state_dict takes it apart. None for a
    folder without it.
    """
    files = checkpoint_files(folder)
    if not any(name.endswith(PACKED) for file in files for name in types_of(file)):
        return None
    tensors: dict[str, torch.Tensor] = {}
    for name, tensor in read_tensors(folder).items():
        if name.endswith(PACKED) and len(tensor) == len(UNPACKED):
            parts = zip(UNPACKED, tensor.flatten(1))
            tensors |= {name.removesuffix(PACKED) + part: mix.view(1, 1, -1).clone() for part, mix in parts}
        else:
            tensors[name] = tensor
    return tensors
