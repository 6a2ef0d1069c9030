"""Contract C1: every hidden layer of any transformers model, in one pass, by hooks of our own.

A model of L blocks has layers 0..L: layer l is the residual stream that enters block l + 1, layer L the stream that
leaves the last block; no final norm, no rescaling. `output_hidden_states` is not used, since it means something else in
each family: GPT-2 and Llama replace the last layer by its norm, Mamba and RWKV leave the first out.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from transformers import PreTrainedModel

from pipeline.base.errors import InputError

BETWEEN_BLOCKS = ("deberta-v2",)
"""families that work on the stream between two blocks, by intent: DeBERTa-v2 adds a convolution after the first"""

Change = Callable[[int, torch.Tensor], torch.Tensor]
"""the number of a layer and the layer (B, T, D) -> what the next block shall read in its place"""


def depth_of(model: PreTrainedModel) -> int:
    """The number L of a model's blocks. InputError where its config does not say it."""
    depth = getattr(model.config.get_text_config(), "num_hidden_layers", None)
    if depth is None:
        raise InputError(f"{type(model).__name__} has no num_hidden_layers: which tensors are its layers is not known")
    return depth


def blocks(model: PreTrainedModel) -> list[torch.nn.Module]:
    """A model's L blocks in the order in which they run: the entries of the one ModuleList that has L.

    ALBERT's are shared: a block is there several times. Raises InputError for a model with two stacks, and where no
    list, or more than one, can be meant.
    """
    name, depth = type(model).__name__, depth_of(model)
    if getattr(model.config, "is_encoder_decoder", False):
        raise InputError(
            f"{name} has an encoder and a decoder, which read different tokens: only models with a single stack of "
            "blocks are supported"
        )
    modules = dict(model.base_model.named_modules())
    if model.config.model_type == "albert":
        groups = modules["encoder.albert_layer_groups"]
        return [groups[i * len(groups) // depth] for i in range(depth)]
    lists = {name: m for name, m in modules.items() if isinstance(m, torch.nn.ModuleList)}
    long = {name: m for name, m in lists.items() if len(m) == depth}
    outer = {name: m for name, m in long.items() if not any(name.startswith(other + ".") for other in long)}
    if len(outer) > 1:
        raise InputError(
            f"{name} has {len(outer)} lists of {depth} modules ({', '.join(outer)}): only models whose blocks are one "
            "list are supported"
        )
    if not outer:
        there = ", ".join(f"{name} of {len(m)}" for name, m in lists.items() if "." not in name.rstrip(".")) or "none"
        raise InputError(
            f"{name} has num_hidden_layers {depth}, but no list of so many blocks (its lists: {there}): which tensors "
            "are its layers is not known"
        )
    return list(next(iter(outer.values())))


def _same(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a is b or (a.shape == b.shape and torch.allclose(a, b.to(a.device), rtol=0, atol=0, equal_nan=True))


class _EnoughError(Exception):
    """Raised by a hook to leave the forward pass: what follows the last wanted layer is not computed."""


class _Catcher:
    """The hooks of one forward pass: they see its layers in order and keep the wanted ones."""

    def __init__(self, model: PreTrainedModel, shape: torch.Size, wanted: set[int], change: Change | None) -> None:
        self.name, self.type, self.shape = type(model).__name__, model.config.model_type, shape
        self.stack, self.width = blocks(model), model.config.get_text_config().hidden_size
        self.wanted, self.last, self.change = wanted, max(wanted), change
        self.layers: list[torch.Tensor] = []
        self.begun = self.ended = 0
        self.left: torch.Tensor | None = None
        """what the block before left"""

    def hooks(self) -> list[Any]:
        """Register the hooks; they are to be removed."""
        distinct = list(dict.fromkeys(self.stack))
        handles: list[Any] = [block.register_forward_pre_hook(self.before, with_kwargs=True) for block in distinct]
        handles += [block.register_forward_hook(self.after) for block in distinct]
        if (norm := getattr(self.stack[0], "pre_ln", None)) is not None:  # RWKV: before the first residual is added
            handles.append(norm.register_forward_hook(lambda module, args, output: self.catch(0, output)))
        return handles

    def before(self, module: torch.nn.Module, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict] | None:
        """A hook that runs before a block: it sees the layer that enters it, and may change it."""
        number = self.begun
        if number >= len(self.stack) or module is not self.stack[number] or self.ended != number:
            raise InputError(f"{self.name} does not run its {len(self.stack)} blocks one after the other, each once")
        self.begun += 1
        if number == 0 and hasattr(module, "pre_ln"):
            return None
        stream = next((value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor)), None)
        stream = kwargs.get("hidden_states", stream)
        if stream is None:
            raise InputError(f"{self.name} hands its blocks no tensor: which one is the residual stream is not known")
        if self.left is not None and self.type not in BETWEEN_BLOCKS and not _same(self.left, stream):
            raise InputError(
                f"{self.name} changes its residual stream between blocks {number} and {number + 1}: which of the "
                "two is the layer is not known"
            )
        self.catch(number, stream)
        if self.change is None:
            return None
        changed = self.change(number, stream)
        replaced = {name: changed if value is stream else value for name, value in kwargs.items()}
        return tuple(changed if value is stream else value for value in args), replaced

    def after(self, module: torch.nn.Module, args: tuple, output: Any) -> None:
        """A hook that runs after a block: it returns the stream, or a tuple or list that begins with it."""
        self.ended += 1
        self.left = output[0] if isinstance(output, tuple | list) else output
        if self.ended == len(self.stack):
            self.catch(self.ended, self.left)

    def catch(self, number: int, layer: torch.Tensor) -> None:
        """Take a layer; stop when it is the last that is wanted."""
        if layer.shape != (*self.shape, self.width):
            sentences, tokens = self.shape
            raise InputError(
                f"{self.name}: layer {number} of {sentences} sentences of {tokens} tokens is {tuple(layer.shape)}, "
                f"expected ({sentences}, {tokens}, {self.width}): only models with one vector of hidden_size for each "
                "token are supported"
            )
        if number in self.wanted:
            self.layers.append(layer)
        if number == self.last:
            raise _EnoughError


def hidden_layers(model: PreTrainedModel, ids: torch.Tensor, wanted: Iterable[int] | None = None) -> list[torch.Tensor]:
    """Token ids (B, T) without padding -> the wanted layers in their order, all L + 1 by default.

    Each is a tensor (B, T, D) where its block computed it, in its residual type. Sentences of a batch have one length,
    so no mask is needed and none can be ignored. Nothing is computed after the last wanted layer: no further block, no
    final norm, no head. Raises InputError for a model that does not run its blocks one after the other on (B, T, D).
    """
    with torch.inference_mode():
        return caught_layers(model, range(depth_of(model) + 1) if wanted is None else wanted, input_ids=ids)


def caught_layers(
    model: PreTrainedModel, wanted: Iterable[int], change: Change | None = None, /, **inputs: Any
) -> list[torch.Tensor]:
    """`hidden_layers` of inputs of the base model, input_ids (B, T) among them, with gradients where they are on.

    A layer that is wanted is what the block before it left; `change`, from layer 1 on, says what the next block reads.
    """
    catcher = _Catcher(model, inputs["input_ids"].shape, set(wanted), change)
    handles = catcher.hooks()
    try:
        model.base_model(**inputs)
    except _EnoughError:
        return catcher.layers
    finally:
        for handle in handles:
            handle.remove()
    raise InputError(
        f"{catcher.name} ran {catcher.ended} of its {len(catcher.stack)} blocks: layers cannot be told apart"
    )


def layer_numbers(spec: str | int | list[int], depth: int, first: int = 0) -> list[int]:
    """`dump.layers` -> the sorted layer numbers of a model of `depth` blocks, of which `first` is the first to exist.

    The setting is "all", a list (negative numbers count from the last layer), or n for every n-th from layer 0 on.
    Raises InputError for a layer that the model does not have.
    """
    if spec == "all":
        return list(range(first, depth + 1))
    if isinstance(spec, int) and spec >= 1 and (found := [n for n in range(0, depth + 1, spec) if n >= first]):
        return found
    if isinstance(spec, list) and spec and all(-depth - 1 <= layer <= depth for layer in spec):
        found = sorted({layer % (depth + 1) for layer in spec})
        if found[0] >= first:
            return found
    there = f"from {-depth - 1} to {depth}" if first == 0 else f"from {first} to {depth}, or {first - depth - 1} to -1"
    raise InputError(
        f"dump.layers is {spec!r}: give all, a list of layers {there} "
        f"(this model has {depth} blocks), or n for every n-th layer"
    )
