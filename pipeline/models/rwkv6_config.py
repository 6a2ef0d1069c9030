"""The sizes of an RWKV-6 "Finch" model (arXiv 2404.05892)."""

from typing import Any

from transformers import PreTrainedConfig

from pipeline.models.rwkv_parts import check_heads


class Rwkv6Config(PreTrainedConfig):
    """Sizes of an RWKV-6 model.

    `head_size_divisor` sets the epsilon of the group norm after the recurrence, 1e-5 * head_size_divisor**2; it is 8 in
    Finch. Ranks that are None follow Finch: R = 32 and S = 64, twice that from D = 4096.
    """

    model_type = "rwkv6"

    vocab_size: int = 65536
    hidden_size: int = 2048
    num_hidden_layers: int = 24
    head_size: int = 64
    head_size_divisor: int = 8
    intermediate_size: int | None = None
    time_mix_extra_dim: int | None = None
    time_decay_extra_dim: int | None = None
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
        is_wide = self.hidden_size >= 4096
        self.intermediate_size = self.intermediate_size or self.hidden_size * 7 // 2 // 32 * 32
        self.time_mix_extra_dim = self.time_mix_extra_dim or (64 if is_wide else 32)
        self.time_decay_extra_dim = self.time_decay_extra_dim or (128 if is_wide else 64)
        super().__post_init__(**kwargs)
