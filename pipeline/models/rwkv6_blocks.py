"""The blocks of RWKV-6 "Finch" (arXiv 2404.05892): time mixing and channel mixing.

Glossary: our letter, the paper's letter, the name in the checkpoints, the shape.

    B, T, D, H, N           batch, tokens, hidden size, heads, head size (D = H N)
    R, S                    ranks of the low-rank maps for the mixes and for the decay
    mu_x, mu_{w,k,v,r,g}    mu        time_maa_x, time_maa_w ...   (1, 1, D)   static part of the token-shift mixes
    A, B of the mixes       A, B      time_maa_w1, time_maa_w2     (D, 5R), (5, R, D)
    decay, its A and B      lambda    time_decay, _w1, _w2         (1, 1, D), (D, S), (S, D)
    u                       u         time_faaaa                   (H, N)      bonus of the current token
    r, k, v, g              r, k, v, g  receptance, key, value, gate          (B, T, D)
    log_w                   log w_t   (data-dependent, always < 0)            (B, T, D)

Parameter names are those of the Hugging Face Finch checkpoints; `pipeline.models.checkpoints` maps BlinkDL's names to
them.
"""

import torch
import torch.nn.functional as F
from torch import nn
from transformers import initialization as init

from pipeline.models.rwkv6_config import Rwkv6Config
from pipeline.models.rwkv6_recurrence import recurrence
from pipeline.models.rwkv_parts import Block, Mix, NormOfHeads, parameter, shift, wide


class Rwkv6TimeMix(Mix):
    """Time mixing (arXiv 2404.05892, time mixing of Finch)."""

    def __init__(self, config: Rwkv6Config, layer: int) -> None:
        super().__init__(layer, config.num_hidden_layers)
        D, H, N = config.hidden_size, config.hidden_size // config.head_size, config.head_size
        R, S = config.time_mix_extra_dim or 0, config.time_decay_extra_dim or 0  # the config fills them in
        self.heads = H
        self.time_maa_x = parameter(1, 1, D)
        self.time_maa_w = parameter(1, 1, D)
        self.time_maa_k = parameter(1, 1, D)
        self.time_maa_v = parameter(1, 1, D)
        self.time_maa_r = parameter(1, 1, D)
        self.time_maa_g = parameter(1, 1, D)
        self.time_maa_w1 = parameter(D, 5 * R)
        self.time_maa_w2 = parameter(5, R, D)
        self.time_decay = parameter(1, 1, D)
        self.time_decay_w1 = parameter(D, S)
        self.time_decay_w2 = parameter(S, D)
        self.time_faaaa = parameter(H, N)
        self.receptance = nn.Linear(D, D, bias=False)
        self.key = nn.Linear(D, D, bias=False)
        self.value = nn.Linear(D, D, bias=False)
        self.gate = nn.Linear(D, D, bias=False)
        self.output = nn.Linear(D, D, bias=False)
        self.ln_x = NormOfHeads(H, D, eps=1e-5 * config.head_size_divisor**2)

    def forward(
        self, x: torch.Tensor, last: torch.Tensor | None = None, wkv: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(B, T, D) -> (B, T, D), its input at the last token (B, D), and the recurrence's state (B, H, N, N)."""
        d = shift(x, last) - x  # (B, T, D)
        low = torch.tanh((x + d * self.time_maa_x) @ self.time_maa_w1).unflatten(-1, (5, -1))  # (B, T, 5, R)
        mw, mk, mv, mr, mg = torch.einsum("btfr,frd->fbtd", low, self.time_maa_w2)  # in this order in the checkpoints
        decay = torch.tanh((x + d * (self.time_maa_w + mw)) @ self.time_decay_w1) @ self.time_decay_w2
        decay = self.time_decay + decay
        log_w = -torch.exp(wide(decay))  # (B, T, D)
        k = self.key(x + d * (self.time_maa_k + mk))
        v = self.value(x + d * (self.time_maa_v + mv))
        r = self.receptance(x + d * (self.time_maa_r + mr))
        g = F.silu(self.gate(x + d * (self.time_maa_g + mg)))
        r, k, v, log_w = (tensor.unflatten(-1, (self.heads, -1)) for tensor in (r, k, v, log_w))  # (B, T, H, N)
        y, wkv = recurrence(r, k, v, log_w, self.time_faaaa, wkv)  # (B, T, H, N)
        y = self.ln_x(y).to(x.dtype)  # (B, T, D)
        return self.output(y * g), x[:, -1].clone(), wkv

    def set_initial_values(self) -> None:
        """Mixes, decay and bonus as in BlinkDL's training code."""
        D, (depth, down) = self.time_decay.shape[-1], self.place()
        place = torch.arange(D) / D
        mix = (1 - place**down).view(1, 1, D)
        fast_mix = (1 - place ** (0.5 * down)).view(1, 1, D)
        init.copy_(self.time_maa_k, mix)
        init.copy_(self.time_maa_x, mix)
        init.copy_(self.time_maa_w, mix)
        init.copy_(self.time_maa_v, mix - 0.3 * depth)
        init.copy_(self.time_maa_r, fast_mix)
        init.copy_(self.time_maa_g, fast_mix)
        for low_rank in (self.time_maa_w1, self.time_maa_w2, self.time_decay_w1, self.time_decay_w2):
            init.uniform_(low_rank, -0.01, 0.01)
        place = torch.arange(D) / max(D - 1, 1)
        init.copy_(self.time_decay, (-6 + 5 * place ** (0.7 + 1.3 * depth)).view(1, 1, D))
        zigzag = ((torch.arange(D) + 1) % 3 - 1) * 0.1
        init.copy_(self.time_faaaa, (depth * (1 - place) + zigzag).view(self.heads, -1))


class Rwkv6ChannelMix(Mix):
    """Channel mixing (arXiv 2404.05892, channel mixing)."""

    def __init__(self, config: Rwkv6Config, layer: int) -> None:
        super().__init__(layer, config.num_hidden_layers)
        D, inner = config.hidden_size, config.intermediate_size or 0  # the config fills it in
        self.time_maa_k = parameter(1, 1, D)
        self.time_maa_r = parameter(1, 1, D)
        self.key = nn.Linear(D, inner, bias=False)
        self.receptance = nn.Linear(D, D, bias=False)
        self.value = nn.Linear(inner, D, bias=False)

    def forward(self, x: torch.Tensor, last: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, T, D) -> (B, T, D), and its input at the last token (B, D)."""
        d = shift(x, last) - x
        k = torch.relu(self.key(x + d * self.time_maa_k)) ** 2  # (B, T, intermediate_size)
        return torch.sigmoid(self.receptance(x + d * self.time_maa_r)) * self.value(k), x[:, -1].clone()

    def set_initial_values(self) -> None:
        """Mixes as in BlinkDL's training code."""
        D, (_, down) = self.time_maa_k.shape[-1], self.place()
        mix = (1 - (torch.arange(D) / D) ** down).view(1, 1, D)
        init.copy_(self.time_maa_k, mix)
        init.copy_(self.time_maa_r, mix)


class Rwkv6Block(Block):
    """The two mixes of Finch in a block."""

    def __init__(self, config: Rwkv6Config, layer: int) -> None:
        mixes = Rwkv6TimeMix(config, layer), Rwkv6ChannelMix(config, layer)
        super().__init__(*mixes, config.hidden_size, layer, config.layer_norm_epsilon)
