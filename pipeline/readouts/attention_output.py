"""What attention adds to the residual stream: its heads' weighted values, through the output projection.

AlignedWVA of Zhang et al. 2026, arXiv 2602.01572, reads it at the last token; only the abstract could be read, and it
says that prompts are a part of it. Here layer l holds, for token t of block l,

    o_t = W_O [sum_s a_{t,s} v_s of each head, side by side] (+ b)

In a pre-norm model h_l - h_{l-1} = o + MLP; families that norm o before they add it, such as Gemma 2, add that instead.
In RWKV-6 (arXiv 2404.05892) it is what time mixing adds, W_O (GroupNorm(y) * g).
"""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from pipeline.readouts.projections import OUTPUTS, found, outputs
from pipeline.readouts.readout import Readout


def attention_output(model: PreTrainedModel, ids: torch.Tensor, wanted: Sequence[int]) -> list[torch.Tensor]:
    """(B, T) -> (B, T, D) for each wanted layer."""
    modules, part = found(model, OUTPUTS, "attention_output")
    return [part(output, model) for output in outputs(model, ids, modules, wanted)]


def check(model: PreTrainedModel) -> None:
    """Raise InputError for a family whose output projection is not known."""
    found(model, OUTPUTS, "attention_output")


ATTENTION_OUTPUT = Readout(
    "attention_output",
    attention_output,
    source="arXiv 2602.01572: what attention adds in block l, W_O of its weighted values",
    first=1,
    check=check,
)
