"""Contract C1 in every supported family, on tiny random models."""

import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

import pipeline.rwkv6  # noqa: F401  (registers rwkv6 with the Auto classes)
from pipeline.layers import blocks, hidden_layers

TINY = {"vocab_size": 101, "hidden_size": 32, "num_hidden_layers": 3}
HEADS = {"num_attention_heads": 4, "intermediate_size": 64}
# family: (its own sizes, what enters block 1, the norm after the last block)
FAMILIES = {
    "gpt2": ({"vocab_size": 101, "n_embd": 32, "n_layer": 3, "n_head": 4}, lambda m, ids: m.wte(ids) + m.wpe(torch.arange(ids.shape[1])), lambda m: m.ln_f),
    "llama": (TINY | HEADS, lambda m, ids: m.embed_tokens(ids), lambda m: m.norm),
    "gpt_neox": (TINY | HEADS, lambda m, ids: m.embed_in(ids), lambda m: m.final_layer_norm),
    "bert": (TINY | HEADS, lambda m, ids: m.embeddings(ids), lambda m: torch.nn.Identity()),
    "mamba": (TINY | {"state_size": 4}, lambda m, ids: m.embeddings(ids), lambda m: m.norm_f),
    "rwkv": (TINY | {"context_length": 64}, lambda m, ids: m.blocks[0].pre_ln(m.embeddings(ids)), lambda m: m.ln_out),
    "rwkv6": (TINY | {"head_size": 8}, lambda m, ids: m.blocks[0].pre_ln(m.embeddings(ids)), lambda m: m.ln_out),
}


def tiny(family, auto=AutoModel):
    sizes = FAMILIES[family][0]
    extra = {"rescale_every": 0} if family == "rwkv" else {}
    torch.manual_seed(torch.seed() % 2**31)
    model = auto.from_config(AutoConfig.for_model(family, use_cache=False, **sizes, **extra)).eval()
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


@pytest.mark.parametrize("family", ["gpt2", "llama", "gpt_neox", "mamba", "rwkv", "rwkv6"])
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
    model = AutoModel.from_config(AutoConfig.for_model("t5", vocab_size=101, d_model=32, num_layers=2, num_heads=4, d_kv=8, d_ff=64))
    with pytest.raises(ValueError, match=r"has 2 lists of 2 blocks .*single stack"):
        blocks(model)
