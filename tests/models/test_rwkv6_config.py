import pytest
from transformers import AutoConfig

import pipeline.models.rwkv6  # noqa: F401  (registers rwkv6 with the Auto classes)
from pipeline.base.errors import InputError
from pipeline.models.rwkv6_config import Rwkv6Config


def test_sizes_of_finch_as_published():
    """The 1.6B, 3B, 7B and 14B checkpoints: ranks of the low-rank maps and the channel mix follow from the width."""
    small, large = Rwkv6Config(hidden_size=2048), Rwkv6Config(hidden_size=4096)
    assert (small.intermediate_size, small.time_mix_extra_dim, small.time_decay_extra_dim) == (7168, 32, 64)
    assert (large.intermediate_size, large.time_mix_extra_dim, large.time_decay_extra_dim) == (14336, 64, 128)


def test_sizes_that_are_given_are_kept():
    config = Rwkv6Config(hidden_size=64, intermediate_size=96, time_mix_extra_dim=4, time_decay_extra_dim=8)
    assert (config.intermediate_size, config.time_mix_extra_dim, config.time_decay_extra_dim) == (96, 4, 8)


def test_what_published_configs_say_and_we_do_not_follow_is_left_out():
    config = AutoConfig.for_model("rwkv6", rescale_every=6, num_attention_heads=64, model_version="6_0")
    assert isinstance(config, Rwkv6Config)
    assert not any(hasattr(config, name) for name in ("rescale_every", "num_attention_heads", "model_version"))


@pytest.mark.parametrize("head_size", [0, -8, 7, 65])
def test_heads_that_do_not_fill_the_width_are_refused(head_size):
    with pytest.raises(InputError, match=rf"hidden_size 64 is not a multiple of head_size {head_size}: change one"):
        Rwkv6Config(hidden_size=64, head_size=head_size)
