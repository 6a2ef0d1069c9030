"""RWKV-6 "Finch" (arXiv 2404.05892) as transformers classes, in plain PyTorch, without remote code.

The equations and the glossary of their letters are in `rwkv6_blocks`, the recurrence is in `rwkv6_recurrence`.
"""

from torch import nn

from pipeline.models.rwkv6_blocks import Rwkv6Block
from pipeline.models.rwkv6_config import Rwkv6Config
from pipeline.models.rwkv_model import RwkvForCausalLM, RwkvModel, register
from pipeline.models.rwkv_parts import LayerNorm


class Rwkv6Model(RwkvModel):
    """The embedding, the blocks and the final norm."""

    blocks: nn.ModuleList
    ln_out: LayerNorm
    config_class = Rwkv6Config
    block_class = Rwkv6Block
    _no_split_modules = ("Rwkv6Block",)  # type: ignore[assignment]  # a tuple, which nobody can change


class Rwkv6ForCausalLM(RwkvForCausalLM):
    """`Rwkv6Model` and its language-model head."""

    rwkv: Rwkv6Model
    head: nn.Linear
    config_class = Rwkv6Config
    network_class = Rwkv6Model
    _no_split_modules = ("Rwkv6Block",)  # type: ignore[assignment]


register(Rwkv6Model, Rwkv6ForCausalLM)
