"""The recurrent state after the last token, which is what a dump with `keep: state` reads.

It has no name as a readout, since it is a matrix for each head of the sentence instead of a vector for each token.
"""

from collections.abc import Sequence
from math import prod

import torch
from transformers import PreTrainedModel

from pipeline.models.recurrent import check_state, final_states, shape_of_state
from pipeline.readouts.readout import Readout


def state(model: PreTrainedModel, ids: torch.Tensor, wanted: Sequence[int]) -> list[torch.Tensor]:
    """(B, T) -> (B, H, N, M) for each wanted layer: S_T of block l, in float32."""
    return final_states(model, ids, wanted)


STATE = Readout(
    "state",
    state,
    source="S_T of each block: arXiv 2404.05892, time mixing of RWKV-6; arXiv 2312.00752, algorithm 2, of Mamba",
    width=lambda model: prod(shape_of_state(model)),
    first=1,
    check=check_state,
    shape=shape_of_state,
)
