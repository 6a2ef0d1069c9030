"""RWKV-4 "Dove" (arXiv 2305.13048) as transformers classes.

Glossary: our letter, the paper's letter, the name in the checkpoints, the shape. A is the width of time mixing, D but
for unusual configs; other letters as in `rwkv_parts`.

    mix                 mu        time_mix_key ...        (1, 1, D)   share of the current token in the token shift
    r, k, v             r, k, v   receptance, key, value              (B, T, A)
    decay               log w     time_decay              (A,)        w = exp(decay) is what e^k loses in each step
    u                   u         time_first              (A,)        bonus of the current token

transformers has classes of its own for this generation. These take their place in this process, since those keep the
residual stream in the type of the weights, compile a CUDA kernel on their own where they can, and hold the states of
all layers in tensors that they change in place. Parameters have the same names, so every published folder loads.
"""

from typing import Any, ClassVar

import torch
from torch import nn
from transformers import PreTrainedConfig
from transformers import initialization as init

from pipeline.models.rwkv_model import RwkvForCausalLM, RwkvModel, register
from pipeline.models.rwkv_parts import Block, Mix, parameter, shift, wide

NOTHING_READ = -1e38
"""the largest exponent before any token: exp of it is 0, and differences of it stay finite in float32"""


class Rwkv4Config(PreTrainedConfig):
    """Sizes of an RWKV-4 model; `context_length` is what it was trained on and limits nothing."""

    model_type = "rwkv"
    attribute_map: ClassVar = {"max_position_embeddings": "context_length"}

    vocab_size: int = 50277
    context_length: int = 1024
    hidden_size: int = 4096
    num_hidden_layers: int = 32
    attention_hidden_size: int | None = None
    intermediate_size: int | None = None
    layer_norm_epsilon: float = 1e-5
    bos_token_id: int | None = 0
    eos_token_id: int | None = 0
    tie_word_embeddings: bool = False
    use_cache: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        kwargs.pop("rescale_every", None)
        self.attention_hidden_size = self.attention_hidden_size or self.hidden_size
        self.intermediate_size = self.intermediate_size or 4 * self.hidden_size
        super().__post_init__(**kwargs)


def wkv(
    k: torch.Tensor, v: torch.Tensor, decay: torch.Tensor, u: torch.Tensor, state: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The recurrence of RWKV-4 (arXiv 2305.13048, WKV operator): a weighted mean of the values so far.

    y_t = (sum_{s<t} e^{k_s - (t-1-s) w} v_s + e^{u + k_t} v_t) / (the same without v),   w = exp(decay).

    Every channel is by itself, so a step is a few operations on (B, A), which is little beside the matrix products;
    numerator and denominator are kept as multiples of e^m, m the largest exponent, so that nothing overflows.

    k, v: (B, T, A), decay, u: (A,), state: (B or 1, 3, A), numerator, denominator and m -> y (B, T, A) and the state
    after the last token, both in float32, or in float64 where k is that.
    """
    k, v, w, u = wide(k), wide(v), wide(decay).exp(), wide(u)
    if state is None:
        empty = k.new_zeros(len(k), k.shape[2])
        numerator, denominator, m = empty, empty, empty + NOTHING_READ
    else:
        numerator, denominator, m = state.to(k.dtype).expand(len(k), -1, -1).unbind(1)
    outputs = []
    for k_t, v_t in zip(k.unbind(1), v.unbind(1)):
        top = torch.maximum(m, u + k_t)
        past, now = (m - top).exp(), (u + k_t - top).exp()
        outputs.append((past * numerator + now * v_t) / (past * denominator + now))
        top = torch.maximum(m - w, k_t)
        past, now = (m - w - top).exp(), (k_t - top).exp()
        numerator, denominator, m = past * numerator + now * v_t, past * denominator + now, top
    return torch.stack(outputs, dim=1), torch.stack([numerator, denominator, m], dim=1)


class Rwkv4TimeMix(Mix):
    """Time mixing (arXiv 2305.13048)."""

    def __init__(self, config: Rwkv4Config, layer: int) -> None:
        super().__init__(layer, config.num_hidden_layers)
        D, A = config.hidden_size, config.attention_hidden_size or 0  # the config fills it in
        self.time_decay = parameter(A)
        self.time_first = parameter(A)
        self.time_mix_key = parameter(1, 1, D)
        self.time_mix_value = parameter(1, 1, D)
        self.time_mix_receptance = parameter(1, 1, D)
        self.key = nn.Linear(D, A, bias=False)
        self.value = nn.Linear(D, A, bias=False)
        self.receptance = nn.Linear(D, A, bias=False)
        self.output = nn.Linear(A, D, bias=False)

    def forward(
        self, x: torch.Tensor, last: torch.Tensor | None = None, state: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(B, T, D) -> (B, T, D), its input at the last token (B, D), and the recurrence's state (B, 3, A)."""
        before = shift(x, last)
        k = self.key(torch.lerp(before, x, self.time_mix_key))
        v = self.value(torch.lerp(before, x, self.time_mix_value))
        r = torch.sigmoid(self.receptance(torch.lerp(before, x, self.time_mix_receptance)))
        y, state = wkv(k, v, self.time_decay, self.time_first, state)
        return self.output(r * y.to(r.dtype)), x[:, -1].clone(), state

    def set_initial_values(self) -> None:
        """Mixes, decay and bonus as in BlinkDL's training code."""
        D, A, (depth, down) = self.time_mix_key.shape[-1], len(self.time_decay), self.place()
        mix = (torch.arange(D) / D).view(1, 1, D)
        init.copy_(self.time_mix_key, mix**down)
        init.copy_(self.time_mix_value, mix**down + 0.3 * depth)
        init.copy_(self.time_mix_receptance, mix ** (0.5 * down))
        init.copy_(self.time_decay, -5 + 8 * (torch.arange(A) / max(A - 1, 1)) ** (0.7 + 1.3 * depth))
        init.copy_(self.time_first, torch.log(torch.tensor(0.3)) + ((torch.arange(A) + 1) % 3 - 1) * 0.5)


class Rwkv4ChannelMix(Mix):
    """Channel mixing of RWKV-4 and 5 (arXiv 2305.13048)."""

    def __init__(self, hidden_size: int, inner: int, layer: int, depth: int) -> None:
        super().__init__(layer, depth)
        self.time_mix_key = parameter(1, 1, hidden_size)
        self.time_mix_receptance = parameter(1, 1, hidden_size)
        self.key = nn.Linear(hidden_size, inner, bias=False)
        self.receptance = nn.Linear(hidden_size, hidden_size, bias=False)
        self.value = nn.Linear(inner, hidden_size, bias=False)

    def forward(self, x: torch.Tensor, last: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, T, D) -> (B, T, D), and its input at the last token (B, D)."""
        before = shift(x, last)
        k = torch.relu(self.key(torch.lerp(before, x, self.time_mix_key))) ** 2  # (B, T, intermediate_size)
        r = torch.sigmoid(self.receptance(torch.lerp(before, x, self.time_mix_receptance)))
        return r * self.value(k), x[:, -1].clone()

    def set_initial_values(self) -> None:
        """Mixes as in BlinkDL's training code."""
        D, (_, down) = self.time_mix_key.shape[-1], self.place()
        mix = ((torch.arange(D) / D) ** down).view(1, 1, D)
        init.copy_(self.time_mix_key, mix)
        init.copy_(self.time_mix_receptance, mix)


class Rwkv4Block(Block):
    """The two mixes of RWKV-4 in a block."""

    def __init__(self, config: Rwkv4Config, layer: int) -> None:
        D, inner, eps = config.hidden_size, config.intermediate_size or 0, config.layer_norm_epsilon
        mixes = Rwkv4TimeMix(config, layer), Rwkv4ChannelMix(D, inner, layer, config.num_hidden_layers)
        super().__init__(*mixes, D, layer, eps)


class Rwkv4Model(RwkvModel):
    """The embedding, the blocks and the final norm."""

    config_class = Rwkv4Config
    block_class = Rwkv4Block
    _no_split_modules = ("Rwkv4Block",)  # type: ignore[assignment]  # a tuple, which nobody can change


class Rwkv4ForCausalLM(RwkvForCausalLM):
    """`Rwkv4Model` and its language-model head."""

    config_class = Rwkv4Config
    network_class = Rwkv4Model
    _no_split_modules = ("Rwkv4Block",)  # type: ignore[assignment]


register(Rwkv4Model, Rwkv4ForCausalLM)
