"""RWKV-5 "Eagle" (arXiv 2404.05892) as transformers classes.

Glossary: our letter, the paper's letter, the name in the checkpoints, the shape. Other letters as in `rwkv_parts`.

    mix                 mu        time_mix_key ...         (1, 1, D)   share of the current token in the token shift
    r, k, v, g          r, k, v, g  receptance, key, value, gate      (B, T, D)
    decay               omega     time_decay               (H, N)      log w = -exp(decay), the same for every token
    u                   u         time_faaaa               (H, N)      bonus of the current token

The recurrence is that of RWKV-6 with a constant decay. RWKV-5.1 has one decay and one bonus for each head, 5.2 for each
channel; 5.1 is read as 5.2 with equal channels (`pipeline.models.generations`). Parameter names are those of the
Hugging Face Eagle checkpoints.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedConfig
from transformers import initialization as init

from pipeline.models.rwkv4 import Rwkv4ChannelMix
from pipeline.models.rwkv6_recurrence import recurrence
from pipeline.models.rwkv_model import RwkvForCausalLM, RwkvModel, register
from pipeline.models.rwkv_parts import Block, Mix, NormOfHeads, check_heads, parameter, shift, wide


class Rwkv5Config(PreTrainedConfig):
    """Sizes of an RWKV-5 model.

    `head_size_divisor` sets the epsilon of the group norm after the recurrence, 1e-5 * head_size_divisor**2, as BlinkDL
    has it.
    """

    model_type = "rwkv5"

    vocab_size: int = 65536
    hidden_size: int = 2048
    num_hidden_layers: int = 24
    head_size: int = 64
    head_size_divisor: int = 8
    intermediate_size: int | None = None
    layer_norm_epsilon: float = 1e-5
    bos_token_id: int | None = 0
    eos_token_id: int | None = 0
    tie_word_embeddings: bool = False
    use_cache: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        kwargs.pop("num_attention_heads", None)  # published configs say 64, the head size; the heads are D / head_size
        for unused in ("rescale_every", "attention_hidden_size", "model_version"):
            kwargs.pop(unused, None)
        check_heads(self.hidden_size, self.head_size)
        self.intermediate_size = self.intermediate_size or self.hidden_size * 7 // 2 // 32 * 32
        super().__post_init__(**kwargs)


class Rwkv5TimeMix(Mix):
    """Time mixing (arXiv 2404.05892, time mixing of Eagle)."""

    def __init__(self, config: Rwkv5Config, layer: int) -> None:
        super().__init__(layer, config.num_hidden_layers)
        D, H, N = config.hidden_size, config.hidden_size // config.head_size, config.head_size
        self.time_decay = parameter(H, N)
        self.time_faaaa = parameter(H, N)
        self.time_mix_key = parameter(1, 1, D)
        self.time_mix_value = parameter(1, 1, D)
        self.time_mix_receptance = parameter(1, 1, D)
        self.time_mix_gate = parameter(1, 1, D)
        self.key = nn.Linear(D, D, bias=False)
        self.value = nn.Linear(D, D, bias=False)
        self.receptance = nn.Linear(D, D, bias=False)
        self.gate = nn.Linear(D, D, bias=False)
        self.output = nn.Linear(D, D, bias=False)
        self.ln_x = NormOfHeads(H, D, eps=1e-5 * config.head_size_divisor**2)

    def forward(
        self, x: torch.Tensor, last: torch.Tensor | None = None, state: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(B, T, D) -> (B, T, D), its input at the last token (B, D), and the recurrence's state (B, H, N, N)."""
        before, heads = shift(x, last), (self.time_decay.shape[0], -1)
        k = self.key(torch.lerp(before, x, self.time_mix_key)).unflatten(-1, heads)  # (B, T, H, N)
        v = self.value(torch.lerp(before, x, self.time_mix_value)).unflatten(-1, heads)
        r = self.receptance(torch.lerp(before, x, self.time_mix_receptance)).unflatten(-1, heads)
        g = F.silu(self.gate(torch.lerp(before, x, self.time_mix_gate)))  # (B, T, D)
        log_w = -torch.exp(wide(self.time_decay)).expand(k.shape)
        y, state = recurrence(r, k, v, log_w, self.time_faaaa, state)
        return self.output(self.ln_x(y).to(x.dtype) * g), x[:, -1].clone(), state

    def set_initial_values(self) -> None:
        """Mixes, decay and bonus as in BlinkDL's training code."""
        D, (depth, down) = self.time_mix_key.shape[-1], self.place()
        mix = (torch.arange(D) / D).view(1, 1, D)
        init.copy_(self.time_mix_key, mix**down)
        init.copy_(self.time_mix_value, mix**down + 0.3 * depth)
        init.copy_(self.time_mix_receptance, mix ** (0.5 * down))
        init.copy_(self.time_mix_gate, mix ** (0.5 * down))
        place = torch.arange(D) / max(D - 1, 1)
        init.copy_(self.time_decay, (-6 + 5 * place ** (0.7 + 1.3 * depth)).view_as(self.time_decay))
        zigzag = ((torch.arange(D) + 1) % 3 - 1) * 0.1
        init.copy_(self.time_faaaa, (depth * (1 - place) + zigzag).view_as(self.time_faaaa))


class Rwkv5Block(Block):
    """The two mixes of Eagle in a block."""

    def __init__(self, config: Rwkv5Config, layer: int) -> None:
        D, inner, eps = config.hidden_size, config.intermediate_size or 0, config.layer_norm_epsilon
        mixes = Rwkv5TimeMix(config, layer), Rwkv4ChannelMix(D, inner, layer, config.num_hidden_layers)
        super().__init__(*mixes, D, layer, eps)


class Rwkv5Model(RwkvModel):
    """The embedding, the blocks and the final norm."""

    config_class = Rwkv5Config
    block_class = Rwkv5Block
    _no_split_modules = ("Rwkv5Block",)  # type: ignore[assignment]  # a tuple, which nobody can change


class Rwkv5ForCausalLM(RwkvForCausalLM):
    """`Rwkv5Model` and its language-model head."""

    config_class = Rwkv5Config
    network_class = Rwkv5Model
    _no_split_modules = ("Rwkv5Block",)  # type: ignore[assignment]


register(Rwkv5Model, Rwkv5ForCausalLM)
