"""A network over several places: GPUs, then memory of the host, then the disk. Through accelerate (extra `big`).

Where weights lie belongs to the machine, so none of this is among the code that decides the bytes of a dump:
`pipeline.models.load` is handed a `Spread`. Weights that are not on a GPU come to the first one for each pass, or to
the CPU where there is none.
"""

import re
import sys
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import PreTrainedModel

from pipeline.base.errors import InputError, needs_extra
from pipeline.base.machine import device_named
from pipeline.models.layers import blocks
from pipeline.models.load import load
from pipeline.models.offloaded import new_folder

if TYPE_CHECKING:
    from pipeline.catalog.entries import Model

SHARE = 0.9
"""of the free memory of a place that weights may take; the rest is for the passes"""
PLACE = re.compile(r"(cuda:\d+|cpu|disk)(?:=(\d+(?:\.\d+)?[KMGT]i?B))?")
Place = int | str
"""the number of a GPU, cpu or disk, as accelerate has them"""


@dataclass(frozen=True)
class Spread:
    """Places that hold a network together, in the order in which they are filled; GPUs get equal shares."""

    text: str
    """what the user wrote"""
    memory: Mapping[Place, int]
    """bytes that weights may take on each GPU and in memory of the host"""
    disk: bool
    """whether the rest may wait on the disk"""

    def arguments(self, model: PreTrainedModel, name: str) -> dict[str, Any]:
        """What `from_pretrained` takes to put weights where they shall lie, of a model without memory (`meta`)."""
        places = self.map_of(model, name)
        folder = new_folder(0) if "disk" in places.values() else None  # for what is in no safetensors file
        return {"device_map": places, "offload_folder": folder}

    def dispatched(self, model: PreTrainedModel, name: str) -> PreTrainedModel:
        """The network with its parts where they shall lie, unless `from_pretrained` has seen to it."""
        from accelerate import dispatch_model

        if not hasattr(model, "hf_device_map"):
            places = self.map_of(model, name)
            folder = new_folder(sizes_of(model, places)["disk"]) if "disk" in places.values() else None
            dispatch_model(model, places, offload_dir=folder, skip_keys=model._skip_keys_device_placement)
        return model

    def map_of(self, model: PreTrainedModel, name: str) -> dict[str, Place]:
        """Where each part of a network shall lie, {name of a module: place}; no block is split.

        InputError where the places are too small.
        """
        from accelerate import infer_auto_device_map
        from accelerate.utils import get_balanced_memory

        whole = never_split(model)
        with warnings.catch_warnings(action="ignore"):  # of buffers, which are small
            memory = get_balanced_memory(model, dict(self.memory), whole)
            places = infer_auto_device_map(model, memory, whole)
        sizes = sizes_of(model, places)
        if "disk" in sizes and not self.disk:
            raise InputError(
                f"model {name} has weights of {amount(sum(sizes.values()))}, and device {self.text!r} has "
                f"{amount(sum(self.memory.values()))} for them. They do not fit, since no block is split and the first "
                "place keeps room for one more: add a place, such as cpu or disk"
            )
        print(f"model {name}: {described(sizes)}", file=sys.stderr)
        if "" in places:  # all in one place; accelerate puts nothing on the disk under this name
            return {child: places[""] for child, _ in model.named_children()}
        return dict(places)


def named(text: str) -> Spread | torch.device:
    """One device, for "" a GPU where there is one; or the places that `several` finds, with what is free in them.

    InputError for what is not here.
    """
    sizes = several(text)
    if sizes is None:
        return device_named(text)
    from accelerate.utils import convert_file_size_to_int

    memory: dict[Place, int] = {}
    for name in sorted(sizes.keys() - {"disk"}, key=lambda name: (name == "cpu", name)):  # accelerate fills GPUs first
        device, size = device_named(name), sizes[name]
        place = "cpu" if device.index is None else device.index
        memory[place] = convert_file_size_to_int(size) if size else int(SHARE * free_bytes(device))
    return Spread(text, memory, "disk" in sizes)


def several(text: str) -> dict[str, str | None] | None:
    """`auto`, all places that there are, or a list with commas between them, of which each may have a size, such as
    cuda:0=20GB,cpu -> {name: size}. None for one device.

    InputError for what can be no place, whether or not it is here, and where accelerate is not installed.
    """
    if text != "auto" and not set(",=") & set(text):
        return None
    with needs_extra("big"):
        import accelerate.utils  # noqa: F401
    names = [*(f"cuda:{gpu}" for gpu in range(torch.cuda.device_count())), "cpu", "disk"]
    parts = [part.strip() for part in (names if text == "auto" else text.split(","))]
    found = [PLACE.fullmatch(part) for part in parts]
    if wrong := [part for part, match in zip(parts, found) if match is None or (match[1] == "disk" and match[2])]:
        raise InputError(
            f"device {text!r} names {wrong[0]!r}: expected cuda:0 and so on, cpu or disk; all but disk may have a "
            "size, such as cuda:0=20GB"
        )
    sizes = {match[1]: match[2] for match in found if match}
    if len(sizes) < len(parts):
        raise InputError(f"device {text!r} names a place twice: name each once")
    return sizes


def free_bytes(device: torch.device) -> int:
    """Memory of a GPU or of the host that nobody uses."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    import psutil  # accelerate needs it too

    return psutil.virtual_memory().available


def never_split(model: PreTrainedModel) -> list[str]:
    """Names of classes: all but those of modules that hold the blocks.

    What families list for themselves (`_no_split_modules`) is not always all: ALBERT would add embeddings of tokens on
    one GPU to those of positions on another.
    """
    stack = blocks(model)
    holders = {type(m) for m in model.modules() if m not in stack and set(stack) <= set(m.modules())}
    return sorted({type(module).__name__ for module in model.modules()} - {kind.__name__ for kind in holders})


def sizes_of(model: PreTrainedModel, places: Mapping[str, Place]) -> Counter[Place]:
    """Bytes of weights in each place; those that several modules share count once."""
    sizes: Counter[Place] = Counter()
    for name, weight in model.named_parameters():
        module = max((module for module in places if f"{name}.".startswith(f"{module}.") or not module), key=len)
        sizes[places[module]] += weight.numel() * weight.element_size()
    return sizes


def described(sizes: Mapping[Place, int]) -> str:
    """Where weights lie, in words."""
    names: dict[Place, str] = {"cpu": "in memory of the host", "disk": "on the disk"}
    parts = (f"{names.get(place, f'on cuda:{place}')} ({amount(size)})" for place, size in sizes.items())
    return f"weights are {', '.join(parts)}"


def amount(size: int) -> str:
    """Bytes in words."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def loaded(entry: "Model", path: Path | None, name: str, dtype: str, device: str) -> PreTrainedModel:
    """The model of a catalogue entry, as `load` makes it, on the device or over the places of that name."""
    where = named(device)
    if isinstance(where, Spread):
        return load(entry, path, name, dtype, where)
    return load(entry, path, name, dtype).to(where)  # type: ignore[arg-type]  # transformers wraps it
