"""The blocks of RWKV-7 "Goose" (arXiv 2503.14456): time mixing and channel mixing.

Glossary: our letter, the paper's letter, the name in the hub's files, the shape. Other letters as in `rwkv_parts`.

    x_{r,w,k,v,a,g}     mu          attn.x_r ...       (1, 1, D)   static token-shift mixes
    r, k, v             r, k, v     r_proj, k_proj, v_proj         (B, T, D)
    log_w               log w       w_lora             (B, T, D)   data-dependent, from -exp(-1/2) to 0
    a                   a           a_lora             (B, T, D)   in-context learning rate, from 0 to 1
    g                   g           g_lora             (B, T, D)   gate
    first               v_0         v_lora             (B, T, D)   the first block's values, which later ones mix in
    kk                  kappa hat   k_k                (D,)        the key to erase, of length 1 in each head
    k_a, r_k            alpha, rho  k_a, r_k           (D,), (H, N)  rate's part in the key; bonus of the current token

Parameter names are those of flash-linear-attention's checkpoints; `pipeline.models.generations` maps BlinkDL's names to
them.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from transformers import initialization as init

from pipeline.models.rwkv7_config import Rwkv7Config
from pipeline.models.rwkv7_recurrence import LOG_DECAY, wkv
from pipeline.models.rwkv_parts import LayerNorm, Mix, NormOfHeads, State, parameter, shift, wide


class LowRank(nn.Module):
    """A map of low rank, B f(A x) + bias, under the names that it has in the checkpoints."""

    def __init__(self, hidden_size: int, rank: int, between: nn.Module, bias: bool = True) -> None:
        super().__init__()
        maps = nn.Linear(hidden_size, rank, bias=False), nn.Linear(rank, hidden_size, bias=bias)
        self.lora = nn.Sequential(maps[0], between, maps[1])

    def set_last(self, bias: torch.Tensor) -> None:
        """Initial values: B near zero, and the bias."""
        last: Any = self.lora[2]
        init.uniform_(last.weight, -0.01, 0.01)
        init.copy_(last.bias, bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, T, D) -> (B, T, D)."""
        return self.lora(x)


class Rwkv7TimeMix(Mix):
    """Time mixing (arXiv 2503.14456)."""

    def __init__(self, config: Rwkv7Config, layer: int) -> None:
        super().__init__(layer, config.num_hidden_layers)
        D, H, N = config.hidden_size, config.num_heads or 0, config.head_dim or 0  # the config fills them in
        self.x_r = parameter(1, 1, D)
        self.x_w = parameter(1, 1, D)
        self.x_k = parameter(1, 1, D)
        self.x_v = parameter(1, 1, D)
        self.x_a = parameter(1, 1, D)
        self.x_g = parameter(1, 1, D)
        self.k_k = parameter(D)
        self.k_a = parameter(D)
        self.r_k = parameter(H, N)
        self.r_proj = nn.Linear(D, D, bias=False)
        self.k_proj = nn.Linear(D, D, bias=False)
        self.v_proj = nn.Linear(D, D, bias=False)
        self.o_proj = nn.Linear(D, D, bias=False)
        self.w_lora = LowRank(D, config.decay_low_rank_dim or 0, nn.Tanh())
        if layer > 0:
            self.v_lora = LowRank(D, config.v_low_rank_dim or 0, nn.Identity())
        self.a_lora = LowRank(D, config.a_low_rank_dim or 0, nn.Identity())
        self.g_lora = LowRank(D, config.gate_low_rank_dim or 0, nn.Sigmoid(), bias=False)
        self.g_norm = NormOfHeads(H, D, eps=N * config.norm_eps)

    def forward(
        self,
        x: torch.Tensor,
        last: torch.Tensor | None = None,
        state: torch.Tensor | None = None,
        first: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """(B, T, D) -> (B, T, D), its input at the last token (B, D), the state (B, H, N, N), and `first`."""
        d, heads = shift(x, last) - x, self.r_k.shape
        r, k = self.r_proj(x + d * self.x_r), self.k_proj(x + d * self.x_k)
        log_w = LOG_DECAY * torch.sigmoid(wide(self.w_lora(x + d * self.x_w)))  # (B, T, D)
        a = torch.sigmoid(self.a_lora(x + d * self.x_a))
        g = self.g_lora(x + d * self.x_g)
        for_v = x + d * self.x_v
        v = self.v_proj(for_v)
        if first is None:
            first = v
        else:
            v = torch.lerp(v, first, torch.sigmoid(self.v_lora(for_v)))
        kk = F.normalize(wide(k * self.k_k).unflatten(-1, heads), dim=-1)  # (B, T, H, N)
        k = k * (1 + (a - 1) * self.k_a)
        r, k, v, log_w, a = (tensor.unflatten(-1, heads) for tensor in (r, k, v, log_w, a))  # (B, T, H, N)
        y, state = wkv(r, k, v, log_w, (-kk, kk * a), state)
        y = self.g_norm(y).to(x.dtype)  # (B, T, D)
        bonus = (r * k * self.r_k).sum(-1, keepdim=True) * v
        return self.o_proj((y + bonus.flatten(2)) * g), x[:, -1].clone(), state, first

    def set_initial_values(self) -> None:
        """Mixes, biases and scales as in BlinkDL's training code; low-rank maps but the gate's start near zero."""
        D, N, (depth, down) = len(self.k_k), self.r_k.shape[1], self.place()
        place, linear = torch.arange(D) / D, torch.arange(D) / max(D - 1, 1) - 0.5
        zigzag = (torch.arange(D) % N) / max(N - 1, 1) * 2 - 1
        zigzag = zigzag * zigzag.abs()
        powers = {"x_r": 0.2, "x_w": 0.9, "x_k": 0.7, "x_v": 0.7, "x_a": 0.9, "x_g": 0.2}
        for name, power in powers.items():
            init.copy_(getattr(self, name), (1 - place ** (power * down)).view(1, 1, D))
        init.copy_(self.k_k, 0.71 - 0.1 * linear)
        init.constant_(self.k_a, 1.02)
        init.constant_(self.r_k, -0.04)
        init.constant_(self.g_norm.weight, ((self.layer + 1) / self.depth) ** 0.7)
        decay = -6 + 6 * (linear + 0.5) ** (1 + depth**0.3) + 0.5 + 2.5 * zigzag
        self.w_lora.set_last(decay)
        self.a_lora.set_last(-0.19 + 0.3 * zigzag + 0.4 * linear)
        if self.layer > 0:
            self.v_lora.set_last(0.73 - 0.4 * linear)


class Rwkv7ChannelMix(Mix):
    """Channel mixing (arXiv 2503.14456): without the receptance of earlier generations."""

    def __init__(self, config: Rwkv7Config, layer: int) -> None:
        super().__init__(layer, config.num_hidden_layers)
        D, inner = config.hidden_size, config.intermediate_size or 0  # the config fills it in
        self.x_k = parameter(D)
        self.key = nn.Linear(D, inner, bias=False)
        self.value = nn.Linear(inner, D, bias=False)

    def forward(self, x: torch.Tensor, last: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, T, D) -> (B, T, D), and its input at the last token (B, D)."""
        k = torch.relu(self.key(x + (shift(x, last) - x) * self.x_k)) ** 2  # (B, T, intermediate_size)
        return self.value(k), x[:, -1].clone()

    def set_initial_values(self) -> None:
        """Mixes as in BlinkDL's training code."""
        D, (_, down) = len(self.x_k), self.place()
        init.copy_(self.x_k, 1 - (torch.arange(D) / D) ** (down**4))


class Rwkv7Block(nn.Module):
    """x + time mixing of a norm of x, then + channel mixing of another. Block 0 also owns the norm of the embedding."""

    def __init__(self, config: Rwkv7Config, layer: int) -> None:
        super().__init__()
        D, eps = config.hidden_size, config.norm_eps
        if layer == 0:
            self.pre_norm = LayerNorm(D, eps=eps)
        self.attn_norm, self.ffn_norm = LayerNorm(D, eps=eps), LayerNorm(D, eps=eps)
        self.attn, self.ffn = Rwkv7TimeMix(config, layer), Rwkv7ChannelMix(config, layer)

    @property
    def pre_ln(self) -> nn.Module:
        """Block 0's norm of the embedding, under the name that it has in other generations."""
        return self.pre_norm

    def forward(
        self, x: torch.Tensor, state: State | None = None, carried: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, State, torch.Tensor | None]:
        """As `rwkv_parts.Block`; `carried` is the first block's values (B, T, D), which it hands to all others."""
        before = (None, None, None) if state is None else (state.shift_att, state.wkv, state.shift_ffn)
        y, shift_att, wkv, carried = self.attn(self.attn_norm(x), *before[:2], carried)
        x = x + y
        y, shift_ffn = self.ffn(self.ffn_norm(x), before[2])
        return x + y, State(shift_att, wkv, shift_ffn), carried
