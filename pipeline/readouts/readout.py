"""What every readout has."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from pipeline.base.errors import InputError
from pipeline.models.layers import depth_of


def any_model(model: PreTrainedModel, *numbers: int) -> None:
    """A `check` that refuses none."""


def hidden_size(model: PreTrainedModel) -> int:
    """The width D of the residual stream."""
    return model.config.get_text_config().hidden_size


@dataclass(frozen=True)
class Readout:
    """A way to read a network that gives a vector for each token and layer."""

    name: str
    """its key in `registry.READOUTS`"""
    run: Callable[..., list[torch.Tensor]]
    """(model, token ids (B, T) without padding, wanted layers in order, *numbers) -> (B, T, D') for each of them

    It is called in inference mode. What follows the last wanted layer should not be computed.
    """
    source: str
    """paper and formula"""
    width: Callable[[PreTrainedModel], int] = hidden_size
    """model -> D'"""
    first: int = 0
    """the first layer that exists; the last is the model's number of blocks"""
    passes: float = 1.0
    """cost, in forward passes over the sentence"""
    extra_tokens: int = 0
    """tokens that the network reads beside those of the sentence"""
    check: Callable[..., None] = any_model
    """(model, *numbers): raises InputError where the family does not have it"""
    shape: Callable[[PreTrainedModel], tuple[int, ...]] | None = None
    """model -> the shape (H, N, M) of what is read once for a sentence; None where there is a vector for each token"""
    numbers: tuple[int, ...] = ()
    """those of its name: the 6 of token_prepending_6"""

    def __str__(self) -> str:
        """Its name as params.yaml has it."""
        numbers = iter(self.numbers)
        return "_".join(str(next(numbers)) if len(part) == 1 else part for part in self.name.split("_"))

    @property
    def module(self) -> str:
        """Where its function is: what it imports decides the bytes of a dump, other readouts do not."""
        return self.run.__module__

    def read(
        self, model: PreTrainedModel, ids: torch.Tensor, layers: Sequence[int] | None = None
    ) -> list[torch.Tensor]:
        """Token ids (B, T) without padding -> the layers that are wanted, all by default.

        Each is (B, T, D'), or (B, H, N, M) where there is a `shape`.

        Where its block computed it, in the type that the network computes. InputError for a network that gives other
        shapes.
        """
        wanted = self.layers(model) if layers is None else list(layers)
        with torch.inference_mode():
            found = self.run(model, ids, wanted, *self.numbers)
        shape = (len(ids), *self.shape_of(model)) if self.shape else (*ids.shape, self.width(model))
        for number, layer in zip(wanted, found, strict=True):
            if layer.shape != shape:
                raise InputError(
                    f"{type(model).__name__}: {self} of layer {number} is {tuple(layer.shape)}, expected {shape}: "
                    "read it with another readout, such as plain"
                )
        return found

    def layers(self, model: PreTrainedModel) -> list[int]:
        """The numbers of all layers that exist."""
        return list(range(self.first, depth_of(model) + 1))

    def shape_of(self, model: PreTrainedModel) -> tuple[int, ...]:
        """Of what is read of a token, (D',), or of a sentence, (H, N, M)."""
        return self.shape(model) if self.shape else (self.width(model),)

    def checked(self, model: PreTrainedModel) -> None:
        """Raise InputError where a model cannot be read in this way."""
        self.check(model, *self.numbers)
