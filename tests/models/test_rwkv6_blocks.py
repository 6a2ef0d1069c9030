"""Pieces of a block by hand; the whole of it is compared with PyPI's `rwkv` in test_rwkv6.py."""

import pytest
import torch

from pipeline.models.rwkv6_blocks import Rwkv6ChannelMix, Rwkv6TimeMix
from pipeline.models.rwkv6_config import Rwkv6Config
from pipeline.models.rwkv_parts import LayerNorm, shift

CONFIG = Rwkv6Config(vocab_size=8, hidden_size=4, num_hidden_layers=3, head_size=2, intermediate_size=8)


def test_shift_by_hand():
    x = torch.tensor([[[1.0, 2], [3, 4], [5, 6]]])
    assert shift(x).tolist() == [[[0, 0], [1, 2], [3, 4]]]
    assert shift(x, torch.tensor([[7.0, 8]])).tolist() == [[[7, 8], [1, 2], [3, 4]]]


def test_layer_norm_works_in_the_type_of_its_input_and_gives_that_of_its_weights():
    x = 1000 + torch.randn(2, 3, 8)  # bfloat16 has no room for what differs
    norm = LayerNorm(8)
    expected = norm(x)
    narrow = norm.to(torch.bfloat16)(x)
    assert narrow.dtype == torch.bfloat16
    assert (narrow.float() - expected).abs().max() <= 2**-8 * expected.abs().max()


def test_the_first_layer_starts_with_the_mixes_of_blinkdl_by_hand():
    """Layer 0 of 3: mixes fall from 1 linearly, decay rises from -6 with the power 0.7, the bonus is the zigzag."""
    mix = Rwkv6TimeMix(CONFIG, 0)
    with torch.no_grad():
        mix.set_initial_values()
    place = torch.tensor([0, 0.25, 0.5, 0.75])
    torch.testing.assert_close(mix.time_maa_k.flatten(), 1 - place)
    torch.testing.assert_close(mix.time_maa_v.flatten(), 1 - place)
    torch.testing.assert_close(mix.time_maa_g.flatten(), 1 - place.sqrt())
    torch.testing.assert_close(mix.time_decay.flatten(), -6 + 5 * (torch.arange(4) / 3) ** 0.7)
    torch.testing.assert_close(mix.time_faaaa.flatten(), torch.tensor([0, 0.1, -0.1, 0]))
    assert 0 < mix.time_maa_w1.abs().max() <= 0.01


def test_the_last_layer_starts_with_deeper_mixes_by_hand():
    mix, channel = Rwkv6TimeMix(CONFIG, 2), Rwkv6ChannelMix(CONFIG, 2)
    with torch.no_grad():
        mix.set_initial_values()
        channel.set_initial_values()
    expected = 1 - torch.tensor([0, 0.25, 0.5, 0.75]) ** (1 / 3)
    torch.testing.assert_close(mix.time_maa_k.flatten(), expected)
    torch.testing.assert_close(mix.time_maa_v.flatten(), expected - 0.3)
    torch.testing.assert_close(channel.time_maa_k.flatten(), expected)
    torch.testing.assert_close(channel.time_maa_r.flatten(), expected)


@pytest.mark.parametrize(("divisor", "epsilon"), [(8, 64e-5), (1, 1e-5)])
def test_group_norm_epsilon_follows_head_size_divisor(divisor, epsilon):
    config = Rwkv6Config(hidden_size=4, num_hidden_layers=1, head_size=2, head_size_divisor=divisor)
    assert Rwkv6TimeMix(config, 0).ln_x.eps == pytest.approx(epsilon)
