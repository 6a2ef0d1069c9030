"""Values and attention's output: from weights by hand, and each from the other by the weights of attention."""

import pytest
import torch
import torch.nn.functional as F

from pipeline.models.layers import blocks, hidden_layers
from pipeline.readouts.registry import readout_named
from tests.readouts.conftest import ATTENTION

PROJECTIONS = {"gpt2": "attn.c_proj", "gpt_neox": "attention.dense", "opt": "self_attn.out_proj"}
VALUES, OUTPUT = readout_named("values"), readout_named("attention_output")


def close(ours, exact):
    return (ours - exact).abs().max() <= 2e-5 * exact.abs().max()


def llama_values(block, h):
    a = block.input_layernorm(h)
    bias = block.self_attn.v_proj.bias
    return a @ block.self_attn.v_proj.weight.T + (0 if bias is None else bias)


def gpt2_values(block, h):
    """The weights of its projections are (in, out)."""
    attention = block.attn.c_attn
    return block.ln_1(h) @ attention.weight[:, 64:96] + attention.bias[64:96]


def neox_values(block, h):
    """The rows of each of the four heads: 8 for q, 8 for k, 8 for v."""
    attention, a = block.attention.query_key_value, block.input_layernorm(h)
    rows = [slice(24 * head + 16, 24 * head + 24) for head in range(4)]
    return torch.cat([a @ attention.weight[r].T + attention.bias[r] for r in rows], dim=-1)


def opt_values(block, h):
    return F.linear(block.self_attn_layer_norm(h), block.self_attn.v_proj.weight, block.self_attn.v_proj.bias)


def bert_values(block, h):
    return F.linear(h, block.attention.self.value.weight, block.attention.self.value.bias)


def rwkv6_values(block, h):
    """v_t = W_v (a_t + (a_{t-1} - a_t) (mu_v + tanh((a_t + (a_{t-1} - a_t) mu_x) A) B_v)), token after token."""
    mix, a = block.attention, block.ln1(h)
    found = torch.zeros_like(a)
    for row in range(len(a)):
        before = torch.zeros(32)
        for t in range(a.shape[1]):
            x, d = a[row, t], before - a[row, t]
            low = torch.tanh((x + d * mix.time_maa_x[0, 0]) @ mix.time_maa_w1).view(5, -1)[2]
            found[row, t] = mix.value.weight @ (x + d * (mix.time_maa_v[0, 0] + low @ mix.time_maa_w2[2]))
            before = x
    return found


BY_HAND = {
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3"), llama_values),
    "gpt2": gpt2_values,
    "gpt_neox": neox_values,
    "opt": opt_values,
    "bert": bert_values,
    "rwkv6": rwkv6_values,
}


@pytest.mark.parametrize("family", BY_HAND)
def test_values_by_hand(make, ids, family):
    model = make(family)
    found = VALUES.read(model, ids)
    for ours, block, h in zip(found, blocks(model), hidden_layers(model, ids)):
        assert close(ours, BY_HAND[family](block, h))


@pytest.mark.parametrize("family", ATTENTION)
def test_the_output_is_the_values_weighed_by_attention_through_the_projection(make, ids, family):
    """The weights are those that transformers gives; heads that share values use each of them in turn."""
    model = make(family)
    weights = model(ids, output_attentions=True).attentions
    for a, v, o, block in zip(weights, VALUES.read(model, ids), OUTPUT.read(model, ids), blocks(model), strict=True):
        heads = v.unflatten(-1, (-1, 8)).repeat_interleave(32 // v.shape[-1], dim=2)  # (B, T, 4, 8)
        mixed = torch.einsum("bhts,bshn->bthn", a, heads).flatten(2)
        assert close(o, block.get_submodule(PROJECTIONS.get(family, "self_attn.o_proj"))(mixed))


@pytest.mark.parametrize(("family", "width"), [("llama", 16), ("qwen3", 16), ("gpt2", 32), ("gpt_neox", 32)])
def test_heads_that_share_values_make_them_narrower(make, family, width):
    assert VALUES.width(make(family)) == width
    assert OUTPUT.width(make(family)) == 32


def llama_rest(block, h):
    return block.mlp(block.post_attention_layernorm(h))


@pytest.mark.parametrize(
    ("family", "rest", "changes"),
    [
        ("llama", llama_rest, {}),
        ("qwen2", llama_rest, {}),
        ("gpt2", lambda block, h: block.mlp(block.ln_2(h)), {}),
        ("gpt_neox", llama_rest, {"use_parallel_residual": False}),
        ("rwkv6", lambda block, h: block.feed_forward(block.ln2(h))[0], {}),
    ],
)
def test_a_block_adds_attention_and_what_it_computes_from_their_sum(make, ids, family, rest, changes):
    """h_l - h_{l-1} = o + MLP(h_{l-1} + o)"""
    model = make(family, **changes)
    h, outputs = hidden_layers(model, ids), OUTPUT.read(model, ids)
    for before, after, o, block in zip(h[:-1], h[1:], outputs, blocks(model), strict=True):
        assert close(after - before, o + rest(block, before + o))
        assert not close(after - before, rest(block, before + o)), "attention counts"


def test_parallel_blocks_add_both_of_the_same_input(make, ids):
    model = make("gpt_neox", use_parallel_residual=True)
    h, outputs = hidden_layers(model, ids), OUTPUT.read(model, ids)
    for before, after, o, block in zip(h[:-1], h[1:], outputs, blocks(model), strict=True):
        assert close(after - before, o + llama_rest(block, before))


@pytest.mark.parametrize("readout", [VALUES, OUTPUT], ids=str)
def test_nothing_is_computed_after_the_last_wanted_layer(make, ids, readout):
    model = make("llama")
    ran = []
    for number, block in enumerate(blocks(model), 1):
        block.mlp.register_forward_hook(lambda *_, number=number: ran.append(number))
    readout.read(model, ids, [2])
    assert ran == [1]
