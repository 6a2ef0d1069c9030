"""Contract C1 in every supported family, on tiny random models."""

from itertools import pairwise

import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

import pipeline.models.generations  # noqa: F401  (registers RWKV-4 to 7 with the Auto classes)
from pipeline.base.errors import InputError
from pipeline.models.layers import blocks, caught_layers, depth_of, hidden_layers, layer_numbers

TINY = {"vocab_size": 101, "hidden_size": 32, "num_hidden_layers": 3}
HEADS = {"num_attention_heads": 4, "intermediate_size": 64}
GPT2 = {"vocab_size": 101, "n_embd": 32, "n_layer": 3, "n_head": 4}


def normed_embedding(model, ids):
    return model.blocks[0].pre_ln(model.embeddings(ids))


# family: (its own sizes, what enters block 1, the norm after the last block)
FAMILIES = {
    "gpt2": (GPT2, lambda m, ids: m.wte(ids) + m.wpe(torch.arange(ids.shape[1])), lambda m: m.ln_f),
    "llama": (TINY | HEADS, lambda m, ids: m.embed_tokens(ids), lambda m: m.norm),
    "gpt_neox": (TINY | HEADS, lambda m, ids: m.embed_in(ids), lambda m: m.final_layer_norm),
    "bert": (TINY | HEADS, lambda m, ids: m.embeddings(ids), lambda m: torch.nn.Identity()),
    "mamba": (TINY | {"state_size": 4}, lambda m, ids: m.embeddings(ids), lambda m: m.norm_f),
    "rwkv": (TINY | {"context_length": 64}, normed_embedding, lambda m: m.ln_out),
    "rwkv5": (TINY | {"head_size": 8}, normed_embedding, lambda m: m.ln_out),
    "rwkv6": (TINY | {"head_size": 8}, normed_embedding, lambda m: m.ln_out),
    "rwkv7": (TINY | {"head_dim": 8}, lambda m, ids: m.layers[0].pre_norm(m.embeddings(ids)), lambda m: m.norm),
}


def tiny(family, auto=AutoModel):
    sizes = FAMILIES[family][0]
    model = auto.from_config(AutoConfig.for_model(family, use_cache=False, **sizes)).eval()
    with torch.no_grad():  # trained norms are not 1 and 0: make a wrong layer visible
        for p in model.parameters():
            if p.dim() == 1:
                p.add_(0.3 * torch.randn_like(p))
    return model


@pytest.mark.parametrize("family", FAMILIES)
def test_first_layer_is_what_enters_block_1_and_the_normed_last_layer_is_the_models_output(family):
    _, first, norm = FAMILIES[family]
    model, ids = tiny(family), torch.randint(0, 101, (2, 7))
    layers = hidden_layers(model, ids)
    assert depth_of(model) == 3
    assert [tuple(layer.shape) for layer in layers] == [(2, 7, 32)] * 4
    with torch.inference_mode():
        assert torch.allclose(layers[0], first(model, ids), atol=1e-6)
        assert torch.allclose(norm(model)(layers[-1]), model(ids).last_hidden_state, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_each_layer_is_the_block_applied_to_the_layer_before(family):
    """Replacing one block's weights changes the layers after it and none before."""
    model, ids = tiny(family), torch.randint(0, 101, (2, 7))
    before = [layer.clone() for layer in hidden_layers(model, ids)]
    with torch.no_grad():
        for p in blocks(model)[1].parameters():
            p.add_(torch.randn_like(p))
    after = hidden_layers(model, ids)
    assert [torch.equal(a, b) for a, b in zip(before, after)] == [True, True, False, False]


@pytest.mark.parametrize("family", FAMILIES)
def test_wanted_layers_are_those_of_all_and_no_block_runs_after_the_last(family):
    model, ids = tiny(family), torch.randint(0, 101, (2, 7))
    every, ran = hidden_layers(model, ids), []
    for number, block in enumerate(blocks(model)):
        block.register_forward_hook(lambda module, args, output, number=number: ran.append(number))
    some = hidden_layers(model, ids, [2, 0])
    assert len(some) == 2
    assert torch.equal(some[0], every[0])
    assert torch.equal(some[1], every[2])
    assert ran == [0, 1]


@pytest.mark.parametrize("family", ["gpt2", "llama", "gpt_neox", "mamba", "rwkv", "rwkv5", "rwkv6", "rwkv7"])
def test_a_head_changes_nothing(family):
    model, ids = tiny(family, AutoModelForCausalLM), torch.randint(0, 101, (1, 5))
    assert all(torch.equal(a, b) for a, b in zip(hidden_layers(model, ids), hidden_layers(model.base_model, ids)))


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_output_hidden_states_is_not_this_contract(family):
    """Why hooks are used: these families put the final norm in place of the last layer."""
    model, ids = tiny(family), torch.randint(0, 101, (1, 5))
    with torch.inference_mode():
        theirs = model(ids, output_hidden_states=True).hidden_states
    ours = hidden_layers(model, ids)
    assert torch.allclose(theirs[1], ours[1], atol=1e-6)
    assert not torch.allclose(theirs[-1], ours[-1], atol=1e-2)


def test_hooks_are_removed_even_when_the_model_fails():
    model = tiny("gpt2")
    with pytest.raises(IndexError):
        hidden_layers(model, torch.tensor([[1, 5000]]))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_encoder_decoders_are_refused():
    sizes = {"vocab_size": 101, "d_model": 32, "num_layers": 2, "num_heads": 4, "d_kv": 8, "d_ff": 64}
    model = AutoModel.from_config(AutoConfig.for_model("t5", **sizes))
    with pytest.raises(InputError, match=r"T5Model has an encoder and a decoder.*single stack"):
        blocks(model)


def test_a_model_that_does_not_say_how_many_blocks_it_has_is_refused():
    sizes = {"d_latents": 32, "num_latents": 8, "d_model": 32, "num_self_attends_per_block": 2, "vocab_size": 101}
    model = AutoModel.from_config(AutoConfig.for_model("perceiver", **sizes))
    with pytest.raises(InputError, match=r"PerceiverModel has no num_hidden_layers"):
        hidden_layers(model, torch.randint(0, 101, (1, 5)))


def test_a_model_that_skips_a_block_is_refused():
    model = tiny("rwkv6")
    model.forward = lambda input_ids: model.blocks[0](model.blocks[0].pre_ln(model.embeddings(input_ids)))
    with pytest.raises(InputError, match=r"Rwkv6Model ran 1 of its 3 blocks: layers cannot be told apart"):
        hidden_layers(model, torch.randint(0, 101, (1, 5)))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("all", [0, 1, 2, 3, 4]),
        (1, [0, 1, 2, 3, 4]),
        (2, [0, 2, 4]),
        (3, [0, 3]),
        ([0, -1], [0, 4]),
        ([3, 1, 3], [1, 3]),
        ([-5], [0]),
    ],
)
def test_layer_numbers(spec, expected):
    assert layer_numbers(spec, 4) == expected


@pytest.mark.parametrize("spec", ["some", 0, -1, [], [5], [-6]])
def test_layers_that_a_model_does_not_have(spec):
    message = r"dump\.layers is .*: give all, a list of layers from -5 to 4 \(this model has 4 blocks\)"
    with pytest.raises(InputError, match=message):
        layer_numbers(spec, 4)


@pytest.mark.parametrize(
    ("spec", "expected"), [("all", [1, 2, 3, 4]), (1, [1, 2, 3, 4]), (3, [3]), ([1, -1], [1, 4]), ([-4], [1])]
)
def test_layer_numbers_where_the_first_layer_is_1(spec, expected):
    assert layer_numbers(spec, 4, first=1) == expected


@pytest.mark.parametrize("spec", [5, [0], [-5], [0, 2]])
def test_layers_that_are_not_there_where_the_first_is_1(spec):
    message = r"dump\.layers is .*: give all, a list of layers from 1 to 4, or -4 to -1 \(this model has 4 blocks\)"
    with pytest.raises(InputError, match=message):
        layer_numbers(spec, 4, first=1)


@pytest.mark.parametrize("family", ["gpt2", "llama", "mamba", "rwkv6"])
def test_a_change_between_blocks_is_what_the_next_block_reads(family):
    """Layer 2 is replaced by zeros: layers up to it are as they were, and block 3 reads zeros."""
    model, ids = tiny(family), torch.randint(0, 101, (2, 5))
    plain = hidden_layers(model, ids)
    with torch.inference_mode():
        changed = caught_layers(model, range(4), lambda n, x: torch.zeros_like(x) if n == 2 else x, input_ids=ids)
        last = caught_layers(model, [3], lambda n, x: x if n == 2 else torch.zeros_like(x), input_ids=ids)
    assert all(torch.equal(a, b) for a, b in zip(plain[:3], changed[:3]))
    assert (changed[3] == changed[3][:1]).all(), "of every sentence the same"
    assert not torch.allclose(changed[3], plain[3])
    assert not torch.allclose(last[0], plain[3]), "an earlier layer is changed"


# families that do something else


def random_of(family, **sizes):
    config = AutoConfig.for_model(family, vocab_size=101, **sizes)
    return AutoModel.from_config(config).eval()


def refusal(model, batch=2, tokens=7):
    with pytest.raises(InputError) as caught:
        hidden_layers(model, torch.randint(3, 101, (batch, tokens)))
    assert "\n" not in str(caught.value)
    return str(caught.value)


SIZES = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64}


def test_an_axis_of_sentences_in_another_place_is_refused():
    model = random_of("xlnet", d_model=32, n_layer=3, n_head=4, d_inner=64)
    assert "XLNetModel: layer 0 of 2 sentences of 7 tokens is (7, 2, 32), expected (2, 7, 32)" in refusal(model)


def test_padding_inside_the_model_is_refused():
    model = random_of("longformer", attention_window=16, **SIZES)
    assert "layer 0 of 2 sentences of 7 tokens is (2, 16, 32), expected (2, 7, 32)" in refusal(model)


@pytest.mark.parametrize("blocks_of_decoder", [3, 2])
def test_encoder_decoders_are_refused_whatever_their_depths(blocks_of_decoder):
    sizes = {"d_model": 32, "num_layers": 3, "num_decoder_layers": blocks_of_decoder, "num_heads": 4, "d_kv": 8}
    assert "T5Model has an encoder and a decoder" in refusal(random_of("t5", d_ff=64, **sizes))


def test_shared_blocks_are_run_as_often_as_the_model_says():
    model, ids = random_of("albert", embedding_size=16, **SIZES), torch.randint(3, 101, (2, 7))
    assert len(blocks(model)) == 3
    assert len(set(blocks(model))) == 1
    layers = hidden_layers(model, ids)
    with torch.inference_mode():
        assert torch.allclose(layers[-1], model(ids).last_hidden_state, atol=1e-6)
        for before, after in pairwise(layers):
            assert torch.allclose(blocks(model)[0](before), after, atol=1e-5)


def test_groups_of_inner_blocks_are_one_block():
    model, ids = random_of("albert", embedding_size=16, inner_group_num=3, **SIZES), torch.randint(3, 101, (2, 7))
    layers = hidden_layers(model, ids)
    assert len(layers) == 4
    with torch.inference_mode():
        assert torch.allclose(layers[-1], model(ids).last_hidden_state, atol=1e-6)


def test_what_is_done_between_blocks_belongs_to_the_layer_that_enters_the_next():
    """DeBERTa-v2's convolution works on what leaves block 1."""
    relative = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 16}
    model = random_of("deberta-v2", conv_kernel_size=3, conv_act="gelu", **relative, **SIZES)
    ids, entered = torch.randint(3, 101, (2, 7)), []
    model.encoder.layer[1].register_forward_pre_hook(lambda module, args: entered.append(args[0].clone()))
    layers = hidden_layers(model, ids)
    with torch.inference_mode():
        theirs = model(ids, output_hidden_states=True).hidden_states
    assert torch.equal(layers[1], entered[0])
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(layers, theirs))


def test_a_stream_that_changes_between_blocks_is_refused_elsewhere():
    model = tiny("llama")
    model.layers[1].register_forward_pre_hook(lambda module, args: (args[0] / 2, *args[1:]))
    assert "changes its residual stream between blocks 1 and 2" in refusal(model)


def test_a_block_that_runs_twice_is_refused():
    model = tiny("llama")
    model.layers[1].forward = model.layers[0].__call__
    assert "does not run its 3 blocks one after the other, each once" in refusal(model)


def test_blocks_that_return_a_list_are_read():
    model, ids = random_of("openai-gpt", n_embd=32, n_layer=3, n_head=4, n_positions=32), torch.randint(3, 101, (2, 7))
    layers = hidden_layers(model, ids)
    with torch.inference_mode():
        assert torch.allclose(layers[-1], model(ids).last_hidden_state, atol=1e-6)
