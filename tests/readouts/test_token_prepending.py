"""Token prepending against a forward pass by hand, block after block, in which the slot is replaced in plain sight."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pipeline.base.errors import InputError
from pipeline.dump.checks import check_lengths
from pipeline.models.layers import hidden_layers
from pipeline.readouts.registry import readout_named
from pipeline.readouts.token_prepending import SEED


def close(ours, exact):
    return (ours - exact).abs().max() <= 2e-5 * exact.abs().max()


def slot():
    return torch.randn(32, generator=torch.Generator().manual_seed(SEED))


def rms_norm(x, norm):
    return x / torch.sqrt((x**2).mean(-1, keepdim=True) + norm.variance_epsilon) * norm.weight


def rotated(x, base=10000.0):
    """(T, N): the two halves of a head turned by t / base^(2 i / N)."""
    angles = torch.arange(len(x))[:, None] / base ** (torch.arange(0, x.shape[1], 2) / x.shape[1])
    (a, b), cos, sin = x.chunk(2, dim=1), angles.cos(), angles.sin()
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=1)


def llama_block(block, x):
    """(T, D) -> (T, D), head after head and token after token: 4 heads of 8, two for each key and value."""
    a, attention = rms_norm(x, block.input_layernorm), block.self_attn
    q, k, v = a @ attention.q_proj.weight.T, a @ attention.k_proj.weight.T, a @ attention.v_proj.weight.T
    mixed = torch.zeros(len(x), 32)
    for head in range(4):
        mine, shared = slice(8 * head, 8 * head + 8), slice(8 * (head // 2), 8 * (head // 2) + 8)
        queries, keys = rotated(q[:, mine]), rotated(k[:, shared])
        for t in range(len(x)):
            weights = torch.softmax(keys[: t + 1] @ queries[t] / 8**0.5, dim=0)
            mixed[t, mine] = weights @ v[: t + 1, shared]
    x = x + mixed @ attention.o_proj.weight.T
    b, mlp = rms_norm(x, block.post_attention_layernorm), block.mlp
    return x + (F.silu(b @ mlp.gate_proj.weight.T) * (b @ mlp.up_proj.weight.T)) @ mlp.down_proj.weight.T


def llama(model):
    return model.model.embed_tokens.weight, lambda x: x, [lambda x, b=b: llama_block(b, x) for b in model.model.layers]


def rwkv6(model):
    """Its blocks are compared with the equations elsewhere (tests/models)."""
    blocks = model.rwkv.blocks
    return model.rwkv.embeddings.weight, blocks[0].pre_ln, [lambda x, b=b: b(x[None])[0][0] for b in blocks]


def by_hand(parts, sentence, last):
    """Layers 0 to 3 of the tokens (T, D)."""
    table, norm, blocks = parts
    x = norm(torch.cat([slot()[None], table[sentence]]))
    layers = [x[1:]]
    for number, block in enumerate(blocks):  # block number + 1 reads layer `number`
        if 1 <= number <= last:
            x = x.clone()
            x[0] = x[-1]
        x = block(x)
        layers.append(x[1:])
    return layers


@pytest.mark.parametrize("last", [0, 1, 2])
@pytest.mark.parametrize(("family", "parts"), [("llama", llama), ("rwkv6", rwkv6)])
def test_token_prepending_by_hand(make, ids, family, parts, last):
    model = make(family)
    found = readout_named(f"token_prepending_{last}").read(model, ids)
    for row, sentence in enumerate(ids):
        for ours, exact in zip(found, by_hand(parts(model), sentence, last), strict=True):
            assert close(ours[row], exact)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox", "opt", "rwkv6", "mamba"])
def test_without_a_filled_layer_it_is_the_plain_states_after_a_token_of_that_embedding(make, ids, family):
    model = make(family)
    model.get_input_embeddings().weight[1] = slot()
    after = hidden_layers(model, torch.cat([torch.ones(3, 1, dtype=torch.long), ids], dim=1))
    for ours, exact in zip(readout_named("token_prepending_0").read(model, ids), after, strict=True):
        assert torch.equal(ours, exact[:, 1:])


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox", "opt", "rwkv6", "mamba"])
def test_a_filled_slot_shows_from_the_layer_after_it_on(make, ids, family):
    model = make(family)
    without, filled = (readout_named(f"token_prepending_{last}").read(model, ids) for last in (0, 1))
    assert [torch.equal(a, b) for a, b in zip(without, filled)] == [True, True, False, False]


@pytest.mark.parametrize("family", ["llama", "rwkv6", "mamba"])
def test_the_first_token_hears_of_the_last_by_the_slot_alone(make, ids, family):
    """Layer 2 is the first that can: the last token's state after block 1 enters block 2 in the slot."""
    model, other = make(family), ids.clone()
    other[:, -1] = ids[:, -1] % 60 + 4
    for last, heard in ((0, []), (1, [2, 3]), (2, [2, 3])):
        readout = readout_named(f"token_prepending_{last}")
        pairs = zip(readout.read(model, ids), readout.read(model, other))
        assert [n for n, (a, b) in enumerate(pairs) if not close(a[:, 0], b[:, 0])] == heard


def test_learned_positions_leave_room_for_the_slot(make):
    model, longest = make("gpt2"), [np.arange(4, 36)]
    check_lengths([longest[0][:-1]], model, "m", readout_named("token_prepending_1"))
    check_lengths(longest, model, "m")
    message = "a sentence has 32 tokens, but model m has 31 positions beside the 1 of readout token_prepending_1: set"
    with pytest.raises(InputError, match=message):
        check_lengths(longest, model, "m", readout_named("token_prepending_1"))
