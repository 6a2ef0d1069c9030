"""Recurrent states against slow recurrences in NumPy, token by token; a text in two parts; and a second pass."""

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from pipeline.base.errors import InputError
from pipeline.models.layers import caught_layers, depth_of, hidden_layers
from pipeline.models.recurrent import check_echo, echoed_layers, final_states, shape_of_state
from pipeline.models.rwkv_parts import State

SIZES = {
    "mamba": {"state_size": 4},
    "falcon_mamba": {"state_size": 4},
    "mamba2": {"state_size": 4, "num_heads": 4, "head_dim": 8, "n_groups": 2, "chunk_size": 8},
}
SHAPES = {"mamba": (1, 32, 4), "falcon_mamba": (1, 32, 4), "mamba2": (4, 8, 4)}
SHAPES |= dict.fromkeys(("rwkv5", "rwkv6", "rwkv7"), (4, 16, 16))
LAYERS = [1, 2, 3]


@pytest.fixture
def made(network):
    """A function: a random model of a family; three blocks, a vocabulary of 97."""

    def make(family):
        if family.startswith("rwkv"):
            return network(family)
        config = AutoConfig.for_model(family, hidden_size=16, num_hidden_layers=3, vocab_size=97, **SIZES[family])
        config.use_cache = False
        model = AutoModelForCausalLM.from_config(config).eval()
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.3 * torch.randn_like(p) * p.std(correction=0).clamp(min=0.1))
        return model.requires_grad_(False)

    return make


def inputs_of(model, modules, ids):
    """What some modules are given in a pass over ids (T,), each (T, D) float64."""
    seen = []
    hooks = [module.register_forward_pre_hook(lambda _, args: seen.append(args[0][0])) for module in modules]
    with torch.inference_mode():
        model(input_ids=ids[None])
    for hook in hooks:
        hook.remove()
    return [x.double().numpy() for x in seen]


def of_finch(mix, x):
    """The state of RWKV-6's time mixing after inputs (T, D), by arXiv 2404.05892's equations -> (H, N, N)."""
    p = {name: tensor.double().numpy() for name, tensor in mix.state_dict().items()}
    state, before = np.zeros((mix.heads, *[x.shape[1] // mix.heads] * 2)), np.zeros(x.shape[1])
    for now in x:
        d = before - now
        low = np.tanh((now + d * p["time_maa_x"][0, 0]) @ p["time_maa_w1"]).reshape(5, -1)
        w, k, v, _, _ = (
            now + d * (p[f"time_maa_{name}"][0, 0] + low[i] @ p["time_maa_w2"][i]) for i, name in enumerate("wkvrg")
        )
        decay = np.exp(-np.exp(p["time_decay"][0, 0] + np.tanh(w @ p["time_decay_w1"]) @ p["time_decay_w2"]))
        k, v = p["key.weight"] @ k, p["value.weight"] @ v
        for head, (one_k, one_v, one_w) in enumerate(zip(*(a.reshape(mix.heads, -1) for a in (k, v, decay)))):
            state[head] = one_w[:, None] * state[head] + np.outer(one_k, one_v)
        before = now
    return state


def of_mamba(mixer, x):
    """The state of a Mamba mixer after inputs (T, D): S_t = exp(Delta A) S_{t-1} + Delta x B, channel by channel
    (arXiv 2312.00752, algorithm 2) -> (C, N).
    """
    p = {name: tensor.double().numpy() for name, tensor in mixer.state_dict().items()}
    a, rank, width = -np.exp(p["A_log"]), mixer.time_step_rank, p["conv1d.weight"].shape[2]
    projected = (x @ p["in_proj.weight"].T)[:, : len(a)]
    padded = np.concatenate([np.zeros((width - 1, len(a))), projected])
    state = np.zeros(a.shape)
    for t in range(len(x)):
        u = (padded[t : t + width] * p["conv1d.weight"][:, 0].T).sum(axis=0) + p["conv1d.bias"]
        u = u / (1 + np.exp(-u))
        of_token = p["x_proj.weight"] @ u
        delta = np.log1p(np.exp(p["dt_proj.weight"] @ of_token[:rank] + p["dt_proj.bias"]))
        b = of_token[rank : rank + a.shape[1]]
        for channel in range(len(a)):
            for n in range(a.shape[1]):
                state[channel, n] *= np.exp(delta[channel] * a[channel, n])
                state[channel, n] += delta[channel] * u[channel] * b[n]
    return state


@pytest.mark.parametrize("tokens", [1, 2, 40])
def test_states_of_rwkv6_by_the_definition(finch, tokens):
    ids = torch.randint(0, 97, (tokens,))
    mixes = [block.attention for block in finch.base_model.blocks]
    found = final_states(finch, ids[None], LAYERS)
    for mix, x, state in zip(mixes, inputs_of(finch, mixes, ids), found, strict=True):
        expected = of_finch(mix, x)
        assert np.abs(state[0].numpy() - expected).max() <= 1e-5 * np.abs(expected).max()
        assert not np.allclose(state[0].numpy(), expected.swapaxes(1, 2), atol=1e-3)  # keys by values, not the reverse


@pytest.mark.parametrize("tokens", [1, 3, 20])
def test_states_of_mamba_by_the_definition(made, tokens):
    model, ids = made("mamba"), torch.randint(0, 97, (tokens,))
    mixers = [block.mixer for block in model.base_model.layers]
    found = final_states(model, ids[None], LAYERS)
    for mixer, x, state in zip(mixers, inputs_of(model, mixers, ids), found, strict=True):
        expected = of_mamba(mixer, x)
        assert state.shape == (1, 1, *expected.shape)
        assert np.abs(state[0, 0].numpy() - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("family", SHAPES)
def test_a_batch_is_its_sentences_and_wanted_layers_are_those_of_all(made, family):
    model, ids = made(family), torch.randint(0, 97, (4, 9))
    together = final_states(model, ids, LAYERS)
    assert shape_of_state(model) == SHAPES[family]
    assert {tuple(state.shape) for state in together} == {(4, *SHAPES[family])}
    for row in range(4):
        for state, alone in zip(together, final_states(model, ids[row : row + 1], LAYERS)):
            assert (state[row] - alone[0]).abs().max() <= 1e-5 * alone.abs().max()
    assert torch.equal(final_states(model, ids, [2])[0], together[1])
    assert (together[0][0] - together[0][1]).abs().max() > 1e-3 * together[0].abs().max()


@pytest.mark.parametrize("family", [*SHAPES, "rwkv"])
def test_a_second_pass_is_the_second_half_of_the_sentence_written_twice(made, family):
    """The state, token shifts and convolutions of all blocks go on; and the sentence read once differs."""
    model, ids = made(family), torch.randint(0, 97, (3, 11))
    echoed = echoed_layers(model, ids, [0, *LAYERS])
    twice = hidden_layers(model, torch.cat([ids, ids], dim=1))
    once = hidden_layers(model, ids)
    assert torch.equal(echoed[0], once[0])
    for layer in LAYERS:
        scale = twice[layer].abs().max()
        assert (echoed[layer] - twice[layer][:, 11:]).abs().max() <= 1e-5 * scale
        assert (echoed[layer] - once[layer]).abs().max() > 1e-3 * scale
    assert torch.equal(echoed_layers(model, ids, [2])[0], echoed[2])


@pytest.mark.parametrize("family", SHAPES)
def test_a_second_pass_of_one_token_and_of_a_batch(made, family):
    model, ids = made(family), torch.randint(0, 97, (3, 4))
    for some in (ids, ids[:, :1]):
        together = echoed_layers(model, some, LAYERS)
        for row in range(3):
            for layer, alone in zip(together, echoed_layers(model, some[row : row + 1], LAYERS)):
                assert (layer[row] - alone[0]).abs().max() <= 1e-5 * alone.abs().max()


def test_a_second_pass_from_a_state_of_zeros_is_the_plain_one(finch):
    ids = torch.randint(0, 97, (2, 7))
    with torch.inference_mode():
        states = finch.base_model(input_ids=ids, return_states=True).states
        zeros = [State(*(torch.zeros_like(part) for part in vars(state).values())) for state in states]
        again = caught_layers(finch, [0, *LAYERS], input_ids=ids, initial_states=zeros)
    for layer, plain in zip(again, hidden_layers(finch, ids), strict=True):
        assert (layer - plain).abs().max() <= 1e-6 * plain.abs().max()


def test_rwkv4_goes_on_from_what_it_read_but_has_no_matrix(network):
    model = network("rwkv")
    check_echo(model)
    with pytest.raises(InputError, match=r"\(rwkv\) does not leave a matrix state behind in every block"):
        shape_of_state(model)


@pytest.mark.parametrize("family", ["rwkv6", "mamba"])
def test_no_block_runs_after_the_last_wanted_layer(made, family):
    model, calls = made(family), []
    stack = model.base_model.blocks if family == "rwkv6" else model.base_model.layers
    for number, block in enumerate(stack):
        norm = block.ln2 if family == "rwkv6" else block.mixer.out_proj
        norm.register_forward_pre_hook(lambda module, args, number=number: calls.append(number))
    ids = torch.randint(0, 97, (2, 3))
    final_states(model, ids, [2])
    assert set(calls) == {0, 1}
    calls.clear()
    echoed_layers(model, ids, [1])
    assert set(calls) == {0}


FOREIGN = {
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2},
    "bert": {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 8},
    "bamba": {
        **{"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2},
        **{"intermediate_size": 16, "mamba_n_heads": 4, "mamba_d_head": 8, "mamba_d_state": 4, "mamba_n_groups": 1},
        "attn_layer_indices": [1],
    },
}


@pytest.mark.parametrize("family", FOREIGN)
@pytest.mark.parametrize("function", [shape_of_state, check_echo])
def test_families_without_a_state_in_every_block_are_refused_in_one_line(family, function):
    """Attention has none, and a hybrid has none where it has attention."""
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, vocab_size=60, **FOREIGN[family])).eval()
    with pytest.raises(
        InputError, match=rf"\({family}\) does not leave a matrix state behind in every block"
    ) as caught:
        function(model)
    assert "\n" not in str(caught.value)
    assert depth_of(model) == 2
