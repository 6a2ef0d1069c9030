"""The sizes of an RWKV-7 "Goose" model (arXiv 2503.14456), under the names of flash-linear-attention's configs."""

from typing import Any, ClassVar

from transformers import PreTrainedConfig

from pipeline.base.errors import InputError
from pipeline.models.rwkv_parts import check_heads

UNUSED = (
    *("attention_hidden_size", "attn_mode", "fuse_cross_entropy", "fuse_linear_cross_entropy", "fuse_norm"),
    *("initializer_range", "max_position_embeddings", "num_attention_heads", "use_l2warp"),
)
"""fields of published configs that choose kernels or training"""
FIXED: dict[str, tuple[Any, ...]] = {
    "attn": (None,),
    "hidden_act": ("sqrelu", None),
    "norm_bias": (True,),
    "norm_first": (True,),
}
"""fields that change the network, and what they say of those that are read here"""


class Rwkv7Config(PreTrainedConfig):
    """Sizes of an RWKV-7 model; the epsilon of the group norm after the recurrence is head_dim * norm_eps.

    Ranks that are None are those of BlinkDL's training code. `num_heads` counts only where `head_dim` is None, since a
    published config of width 768 has 32 there, and heads of 64. InputError for a config of another kind of network.
    """

    model_type = "rwkv7"
    attribute_map: ClassVar = {"head_size": "head_dim", "layer_norm_epsilon": "norm_eps"}

    vocab_size: int = 65536
    hidden_size: int = 768
    num_hidden_layers: int = 12
    head_dim: int | None = 64
    num_heads: int | None = None
    hidden_ratio: float | None = 4.0
    intermediate_size: int | None = None
    decay_low_rank_dim: int | None = None
    a_low_rank_dim: int | None = None
    v_low_rank_dim: int | None = None
    gate_low_rank_dim: int | None = None
    norm_eps: float = 1e-5
    bos_token_id: int | None = 0
    eos_token_id: int | None = 0
    tie_word_embeddings: bool = False
    use_cache: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        for unused in UNUSED:
            kwargs.pop(unused, None)
        D = self.hidden_size
        self._refuse_others(kwargs, D)
        if self.head_dim is None:
            self.head_dim = D // self.num_heads if self.num_heads else 64
        check_heads(D, self.head_dim)
        self.num_heads = D // self.head_dim
        ratio = 4.0 if self.hidden_ratio is None else self.hidden_ratio
        self.intermediate_size = self.intermediate_size or -(-int(D * ratio) // 32) * 32
        self.hidden_ratio = self.intermediate_size / D
        wide = self.head_dim / 64
        self.decay_low_rank_dim = self.decay_low_rank_dim or _rank(2.5 * wide, D)
        self.a_low_rank_dim = self.a_low_rank_dim or _rank(2.5 * wide, D)
        self.v_low_rank_dim = self.v_low_rank_dim or _rank(1.7 * wide, D)
        self.gate_low_rank_dim = self.gate_low_rank_dim or _rank(5, D)
        super().__post_init__(**kwargs)

    @staticmethod
    def _refuse_others(kwargs: dict[str, Any], hidden_size: int) -> None:
        for name, allowed in FIXED.items():
            if (value := kwargs.pop(name, allowed[0])) not in allowed:
                raise InputError(f"an RWKV-7 with {name} {value!r} is not read here, only with {allowed[0]!r}")
        if any(width != hidden_size for width in kwargs.pop("value_dim", None) or ()):
            raise InputError(f"an RWKV-7 with a value_dim other than hidden_size {hidden_size} is not read here")


def _rank(factor: float, hidden_size: int) -> int:
    """A multiple of 32 near factor * sqrt(D), as in BlinkDL's training code."""
    return max(32, round(factor * hidden_size**0.5 / 32) * 32)
