"""The unembedding against an SVD, and the norm before it against the modules of each family."""

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

import pipeline.models.rwkv6  # noqa: F401  (registers rwkv6 with the Auto classes)
from pipeline.models import unembedding
from pipeline.models.unembedding import norm_of, right_singular, unembedding_of

SIZES = {"vocab_size": 101, "hidden_size": 32, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 4, "intermediate_size": 64}
KV = HEADS | {"num_key_value_heads": 2}
GPT2 = {"vocab_size": 101, "n_embd": 32, "n_layer": 2, "n_head": 4}
FAMILIES = {  # sizes, the norm of the base model, what its weight adds to, whether it centres
    "gpt2": (GPT2, lambda m: m.ln_f, 0, True),
    "gpt_neox": (SIZES | HEADS, lambda m: m.final_layer_norm, 0, True),
    "rwkv6": (SIZES | {"head_size": 8}, lambda m: m.ln_out, 0, True),
    "rwkv": (SIZES | {"context_length": 64, "rescale_every": 0}, lambda m: m.ln_out, 0, True),
    "llama": (SIZES | KV, lambda m: m.norm, 0, False),
    "qwen2": (SIZES | KV, lambda m: m.norm, 0, False),
    "gemma2": (SIZES | KV | {"head_dim": 8}, lambda m: m.norm, 1, False),
    "mamba": (SIZES | {"state_size": 4}, lambda m: m.norm_f, 0, False),
}


def tiny(family, auto=AutoModelForCausalLM, dtype=torch.float32, **changes):
    """A random model whose norms are not those of an untrained one."""
    model = auto.from_config(AutoConfig.for_model(family, use_cache=False, **(FAMILIES[family][0] | changes))).eval()
    with torch.no_grad():
        for p in model.parameters():
            if p.dim() == 1:
                p.add_(0.3 * torch.randn_like(p))
    return model.to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_gain_of_the_norm_is_the_weight_of_its_module(family, dtype):
    _, norm, added, centred = FAMILIES[family]
    model = tiny(family, dtype=dtype)
    found = norm_of(model, model.get_output_embeddings())
    assert found is not None
    weight = norm(model.base_model).weight.detach().double() + added
    assert found[0] == pytest.approx(weight.numpy(), rel=4 * torch.finfo(dtype).eps, abs=4 * torch.finfo(dtype).eps)
    assert found[1] == centred


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_logits_are_the_singular_vectors_of_the_normed_last_layer(family):
    """W norm(h) = U S V^T (gain * c / rms(c)) + W bias, so its inner products follow from what is kept."""
    model = tiny(family)
    kept = unembedding_of(model)
    layer, module = torch.randn(5, 32), FAMILIES[family][1](model.base_model)
    with torch.inference_mode():
        logits = model.get_output_embeddings()(module(layer) - module(torch.zeros(1, 32))).double().numpy()
    h = layer.double().numpy()
    c = h - kept.centred * h.mean(axis=1, keepdims=True)
    normed = kept.gain * c / np.sqrt((c**2).mean(axis=1, keepdims=True))
    read = normed @ kept.directions.T * kept.singular_values
    assert read @ read.T == pytest.approx(logits @ logits.T, rel=1e-3)


def test_values_and_vectors_are_those_of_an_svd_whatever_the_parts(rng, monkeypatch):
    matrix = rng.standard_normal((200, 12)) * 2.0 ** -np.arange(12)
    weight = torch.from_numpy(matrix.astype(np.float32))
    _, values, right = np.linalg.svd(weight.double().numpy(), full_matrices=False)
    for rows in (7, 200, 8192):
        monkeypatch.setattr(unembedding, "ROWS", rows)
        found, vectors = right_singular(weight)
        assert found == pytest.approx(values, rel=1e-9)
        assert np.abs(np.sum(vectors * right, axis=1)) == pytest.approx(np.ones(12), abs=1e-9)  # but for the sign
        assert vectors @ vectors.T == pytest.approx(np.eye(12), abs=1e-12)


def test_a_tied_head_and_one_of_its_own():
    for tied in (True, False):
        model = tiny("llama", tie_word_embeddings=tied)
        head, table = model.get_output_embeddings().weight, model.get_input_embeddings().weight
        assert (head is table) == tied
        _, values, _ = np.linalg.svd(head.detach().double().numpy(), full_matrices=False)
        assert unembedding_of(model).singular_values == pytest.approx(values, rel=1e-5)


def test_why_a_model_has_none(monkeypatch):
    assert unembedding_of(tiny("llama", AutoModel)) == "it has no language-model head"
    assert unembedding_of(tiny("llama", vocab_size=20)) == "its vocabulary of 20 is smaller than its width of 32"
    sizes = {"vocab_size": 101, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 64}
    narrow = AutoConfig.for_model("opt", use_cache=False, word_embed_proj_dim=16, **sizes)
    no_norm = "what its language-model head reads is not a norm of the last layer"
    assert unembedding_of(AutoModelForCausalLM.from_config(narrow).eval()) == no_norm  # it projects the layer first
    model = tiny("llama")
    monkeypatch.setattr(model.base_model.norm, "forward", torch.tanh)
    assert unembedding_of(model) == no_norm


def test_the_network_is_as_it_was_and_hooks_are_gone():
    model, ids = tiny("llama"), torch.randint(0, 101, (1, 6))
    with torch.inference_mode():
        before = model(input_ids=ids).logits
        unembedding_of(model)
        assert torch.equal(model(input_ids=ids).logits, before)


def test_an_odd_width():
    model = tiny("mamba", hidden_size=33)
    gain, centred = norm_of(model, model.get_output_embeddings())
    assert gain == pytest.approx(model.base_model.norm_f.weight.detach().double().numpy(), rel=1e-5)
    assert not centred
