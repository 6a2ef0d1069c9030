"""RWKV-7 "Goose" (arXiv 2503.14456) as transformers classes, in plain PyTorch, without remote code.

The equations and the glossary of their letters are in `rwkv7_blocks`, the recurrence is in `rwkv7_recurrence`.
"""

from torch import nn

from pipeline.models.rwkv7_blocks import Rwkv7Block
from pipeline.models.rwkv7_config import Rwkv7Config
from pipeline.models.rwkv_model import RwkvForCausalLM, RwkvModel, register
from pipeline.models.rwkv_parts import LayerNorm


class Rwkv7Model(RwkvModel):
    """The embedding, the blocks and the final norm."""

    layers: nn.ModuleList
    norm: LayerNorm
    config_class = Rwkv7Config
    block_class = Rwkv7Block
    stack_name, norm_name = "layers", "norm"
    base_model_prefix = "model"
    _no_split_modules = ("Rwkv7Block",)  # type: ignore[assignment]  # a tuple, which nobody can change


class Rwkv7ForCausalLM(RwkvForCausalLM):
    """`Rwkv7Model` and its language-model head."""

    model: Rwkv7Model
    lm_head: nn.Linear
    config_class = Rwkv7Config
    network_class = Rwkv7Model
    head_name = "lm_head"
    base_model_prefix = "model"
    _no_split_modules = ("Rwkv7Block",)  # type: ignore[assignment]


register(Rwkv7Model, Rwkv7ForCausalLM)
