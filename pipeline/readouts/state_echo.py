"""`state_echo`: the hidden layers of a second pass over the sentence, which starts from what the first one left."""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from pipeline.models.recurrent import check_echo, echoed_layers
from pipeline.readouts.readout import Readout


def state_echo(model: PreTrainedModel, ids: torch.Tensor, wanted: Sequence[int]) -> list[torch.Tensor]:
    """(B, T) -> (B, T, D) for each wanted layer: h_t = f(x_1 .. x_t | Z), Z = f's own state after x_1 .. x_T from zero.

    Z is all that each block knows: S_T and the last inputs of token shifts (RWKV) or of the convolution (Mamba). So the
    first token has already seen the last one. Our idea, for which no source was found; it comes to what the second half
    of the sentence written twice gives, whose states Echo embeddings (arXiv 2402.15449) pool, without their prompt.
    """
    return echoed_layers(model, ids, wanted)


STATE_ECHO = Readout(
    "state_echo",
    state_echo,
    source="our idea, no source: h_t of a second pass from the state that the first one left",
    passes=2,
    check=check_echo,
)
