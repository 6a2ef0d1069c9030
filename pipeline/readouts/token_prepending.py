"""Token prepending: a slot before the sentence holds the sentence's own state, so that early tokens read of late ones.

Fu et al., ACL 2025, arXiv 2412.11556. Its abstract and its authors' code were read, the paper's text was not (github
fuyuchenIfyw/token_prepending: senllm/modeling_llama.py, evaluate.py, config.yaml). As that code does, with x_l the
T + 1 states that leave block l (contract C1), x_l[0] the slot and x_l[T] the last token:

    x_0[0] = e                     a fixed vector of standard normal numbers, the embedding of a token of its own
    x_l[0] := x_l[T]               for l = 1 .. K, before block l + 1 reads them
    x_{l+1} = block_{l+1}(x_l)

K is `tp_exiting_index` - 1: 6 for LLaMA-2 of 7 billion parameters and 32 blocks, which is read at layer 27. With K = 0
the slot never changes: the control that shows what a token more does. What we do otherwise: the slot is the very first
token, also before a BOS, where the authors put it before the quoted sentence inside a prompt, so no template is needed;
and e is drawn once from a seed, where they draw it anew in every run.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from pipeline.base.errors import InputError
from pipeline.models.devices import device_of
from pipeline.models.layers import caught_layers, depth_of, hidden_layers
from pipeline.readouts.readout import Readout

SEED = 0
"""of the slot's embedding e, which is the same for all sentences"""


def token_prepending(model: PreTrainedModel, ids: torch.Tensor, wanted: Sequence[int], last: int) -> list[torch.Tensor]:
    """(B, T) -> (B, T, D) for each wanted layer, without the slot; layers 1 to `last` fill it."""

    def fill(layer: int, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x[:, -1:], x[:, 1:]], dim=1) if 1 <= layer <= last else x

    handle = model.get_input_embeddings().register_forward_hook(embed_slot)
    try:
        layers = caught_layers(model, wanted, fill, input_ids=torch.cat([ids[:, :1], ids], dim=1))
    finally:
        handle.remove()
    return [layer[:, 1:] for layer in layers]


def embed_slot(module: torch.nn.Module, args: tuple, embedded: torch.Tensor) -> torch.Tensor:
    """A hook of the embedding: (B, T + 1, E) -> the same with e in the first place, whichever token was there."""
    e = torch.randn(embedded.shape[-1], generator=torch.Generator().manual_seed(SEED))
    slot = e.to(embedded).expand(len(embedded), 1, -1)
    return torch.cat([slot, embedded[:, 1:]], dim=1)


def check(model: PreTrainedModel, last: int) -> None:
    """Raise InputError for fewer blocks than the number says, and for a model whose tokens read to their right."""
    name, depth = type(model).__name__, depth_of(model)
    if last >= depth:
        raise InputError(
            f"readout token_prepending_{last} fills the slot up to layer {last}, but the last of the {depth} blocks of "
            f"{name} reads layer {depth - 1}: give a number from 0 to {depth - 1}"
        )
    ids = torch.tensor([[1, 2], [1, 3]], device=device_of(model))
    first: Any = hidden_layers(model, ids, [depth])[0][:, 0].float()
    if (first[0] - first[1]).norm() > 1e-3 * first[0].norm():
        raise InputError(
            f"readout token_prepending_{last} is for models that read from the left, and a token of {name} sees those "
            "to its right already: read it with plain"
        )


TOKEN_PREPENDING = Readout(
    "token_prepending_K",
    token_prepending,
    source="arXiv 2412.11556: the slot before the sentence holds its last token's h_l, for l up to K",
    extra_tokens=1,
    check=check,
)
