"""Weights that nobody trained: those of BlinkDL's training code, by plain loops; of RWKV-4 by transformers."""

import math

import torch
from transformers import AutoConfig, AutoModelForCausalLM, RwkvConfig
from transformers import RwkvForCausalLM as TheirRwkv4

DEPTH, D, N = 4, 24, 6


def untrained(kind, **sizes):
    config = AutoConfig.for_model(kind, vocab_size=50, hidden_size=D, num_hidden_layers=DEPTH, **sizes)
    return AutoModelForCausalLM.from_config(config).state_dict()


def test_rwkv4_starts_as_that_of_transformers():
    """But for the bonus, which transformers fills with 1: a bracket there encloses the whole formula."""
    theirs = TheirRwkv4(RwkvConfig(vocab_size=50, hidden_size=D, num_hidden_layers=DEPTH)).state_dict()
    ours = untrained("rwkv")
    names = [name for name in ours if ".time_" in name]
    assert len(names) == 7 * DEPTH
    for name in names:
        if name.endswith("time_first"):
            expected = [math.log(0.3) + ((i + 1) % 3 - 1) * 0.5 for i in range(D)]
            torch.testing.assert_close(ours[name], torch.tensor(expected))
        else:
            torch.testing.assert_close(ours[name], theirs[name])


def test_rwkv5_starts_with_the_mixes_and_decays_of_eagle():
    ours = untrained("rwkv5", head_size=N)
    for layer in range(DEPTH):
        deep, left = layer / (DEPTH - 1), 1 - layer / DEPTH
        for i in range(D):
            expected = {
                "key": (i / D) ** left,
                "value": (i / D) ** left + 0.3 * deep,
                "receptance": (i / D) ** (0.5 * left),
                "gate": (i / D) ** (0.5 * left),
            }
            for name, value in expected.items():
                found = ours[f"rwkv.blocks.{layer}.attention.time_mix_{name}"].flatten()[i]
                assert abs(found - value) < 1e-6
            decay = -6 + 5 * (i / (D - 1)) ** (0.7 + 1.3 * deep)
            bonus = deep * (1 - i / (D - 1)) + ((i + 1) % 3 - 1) * 0.1
            assert abs(ours[f"rwkv.blocks.{layer}.attention.time_decay"].flatten()[i] - decay) < 1e-5
            assert abs(ours[f"rwkv.blocks.{layer}.attention.time_faaaa"].flatten()[i] - bonus) < 1e-6


def test_rwkv7_starts_with_the_mixes_biases_and_scales_of_goose():
    ours = untrained("rwkv7", head_dim=N)
    for layer in range(DEPTH):
        deep, left = layer / (DEPTH - 1), 1 - layer / DEPTH
        block = {n.removeprefix(f"model.layers.{layer}."): p for n, p in ours.items() if f"layers.{layer}." in n}
        for i in range(D):
            linear, within = i / (D - 1) - 0.5, (i % N - (N - 1) / 2) / ((N - 1) / 2)
            zigzag = within * abs(within)
            expected = {
                f"attn.x_{name}": 1 - (i / D) ** (power * left)
                for name, power in zip("rwkvag", (0.2, 0.9, 0.7, 0.7, 0.9, 0.2))
            }
            expected |= {
                "attn.k_k": 0.71 - 0.1 * linear,
                "attn.k_a": 1.02,
                "attn.r_k": -0.04,
                "attn.w_lora.lora.2.bias": -6 + 6 * (i / (D - 1)) ** (1 + deep**0.3) + 0.5 + 2.5 * zigzag,
                "attn.a_lora.lora.2.bias": -0.19 + 0.3 * zigzag + 0.4 * linear,
                "attn.g_norm.weight": ((layer + 1) / DEPTH) ** 0.7,
                "ffn.x_k": 1 - (i / D) ** (left**4),
            }
            if layer > 0:
                expected["attn.v_lora.lora.2.bias"] = 0.73 - 0.4 * linear
            for name, value in expected.items():
                assert abs(block[name].flatten()[i] - value) < 1e-5, name
        for name in ("w", "a", "v")[: 2 if layer == 0 else 3]:
            assert 0 < block[f"attn.{name}_lora.lora.2.weight"].abs().max() <= 0.01
