"""What all generations of RWKV share: the token shift, norms, a block, and the state that a sentence leaves behind.

Glossary: our letter, what it is.

    B, T, D, H, N   batch, tokens, hidden size, heads, head size (D = H N)
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from pipeline.base.errors import InputError


@dataclass(frozen=True)
class State:
    """What one block has read so far: all that it knows of the tokens before. B may be 1 for a batch that begins alike.

    A model takes a list of them, one for each block, and returns such a list.
    """

    shift_att: torch.Tensor
    """the last token's input of time mixing (B, D)"""
    wkv: torch.Tensor
    """the state of the recurrence: (B, H, N, N), keys by values, float32; of RWKV-4 (B, 3, D)"""
    shift_ffn: torch.Tensor
    """the last token's input of channel mixing (B, D)"""


def shift(x: torch.Tensor, last: torch.Tensor | None = None) -> torch.Tensor:
    """The previous token's vector at each place (B, T, D); before the first `last` (B or 1, D), or zero."""
    if last is None:
        return F.pad(x, (0, 0, 1, -1))
    return torch.cat([last.to(x.dtype).expand(len(x), -1)[:, None], x[:, :-1]], dim=1)


def parameter(*shape: int) -> nn.Parameter:
    """A parameter without values yet."""
    return nn.Parameter(torch.empty(*shape))


def wide(x: torch.Tensor) -> torch.Tensor:
    """A tensor in float32, or in float64 where it is that."""
    return x.to(torch.promote_types(torch.float32, x.dtype))


class LayerNorm(nn.LayerNorm):
    """LayerNorm in the type of its input (float32 residual), cast to the type of its weights on the way out."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, T, D) -> (B, T, D)."""
        weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
        return F.layer_norm(x, self.normalized_shape, weight, bias, self.eps).to(self.weight.dtype)


class NormOfHeads(nn.GroupNorm):
    """Norm each head by itself, in float32 at least.

    A module that is called, and no function that takes weights out of one: weights that wait in memory of the host or
    on the disk are there while their own module runs (`pipeline.models.spread`).
    """

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        """(B, T, H, N) -> (B, T, D)."""
        flat = wide(y.flatten(0, 1).flatten(1))  # (B T, D)
        weight, bias = self.weight.to(flat.dtype), self.bias.to(flat.dtype)
        return F.group_norm(flat, self.num_groups, weight, bias, self.eps).view(*y.shape[:2], -1)


def check_heads(hidden_size: int, head_size: int) -> None:
    """Raise InputError for heads that do not fill the width."""
    if head_size < 1 or hidden_size % head_size:
        raise InputError(f"hidden_size {hidden_size} is not a multiple of head_size {head_size}: change one of them")


class Mix(nn.Module):
    """Time mixing or channel mixing of some generation: its parameters have initial values of their own."""

    def __init__(self, layer: int, depth: int) -> None:
        super().__init__()
        self.layer, self.depth = layer, depth

    def set_initial_values(self) -> None:
        """Fill parameters that are no module's; linear maps and norms inside have been filled before."""
        raise NotImplementedError

    def place(self) -> tuple[float, float]:
        """How deep this layer lies, from 0 to 1, and what is left above it, from 1 to almost 0."""
        return self.layer / max(self.depth - 1, 1), 1 - self.layer / self.depth


class Block(nn.Module):
    """x + time mixing of ln1(x), then + channel mixing of ln2 of that. Block 0 also owns the norm of the embedding.

    Made of the two mixes of a generation, which take what they left after the tokens before, or None, and return it:
    `attention` (x, last input, wkv) -> (y, last input, wkv), and `feed_forward` (x, last input) -> (y, last input).
    """

    def __init__(self, attention: nn.Module, feed_forward: nn.Module, hidden_size: int, layer: int, eps: float) -> None:
        super().__init__()
        if layer == 0:
            self.pre_ln = LayerNorm(hidden_size, eps=eps)
        self.ln1, self.ln2 = LayerNorm(hidden_size, eps=eps), LayerNorm(hidden_size, eps=eps)
        self.attention, self.feed_forward = attention, feed_forward

    def forward(
        self, x: torch.Tensor, state: State | None = None, carried: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, State, torch.Tensor | None]:
        """The residual stream (B, T, D) -> the same after this block, the state after its last token, and `carried`.

        `carried` is what a block hands to the next beside the stream; only RWKV-7 has anything there.
        """
        before = (None, None, None) if state is None else (state.shift_att, state.wkv, state.shift_ffn)
        y, shift_att, wkv = self.attention(self.ln1(x), *before[:2])
        x = x + y
        y, shift_ffn = self.feed_forward(self.ln2(x), before[2])
        return x + y, State(shift_att, wkv, shift_ffn), carried
