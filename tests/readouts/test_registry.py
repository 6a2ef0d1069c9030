"""What all readouts have in common, on models of several families. What each of them reads is in its own file."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from pipeline.base.errors import InputError
from pipeline.models.layers import hidden_layers
from pipeline.readouts.names import NAMES, parsed
from pipeline.readouts.registry import READOUTS, readout_named

CASES = {  # name -> its layers of three blocks, and families that have it; add a row for a new readout
    "plain": ([0, 1, 2, 3], ["llama", "rwkv6", "bert"]),
    "token_prepending_0": ([0, 1, 2, 3], ["llama", "rwkv6"]),
    "token_prepending_2": ([0, 1, 2, 3], ["llama", "gpt2", "gpt_neox", "opt", "rwkv6", "mamba"]),
    "values": ([1, 2, 3], ["llama", "mistral", "qwen2", "qwen3", "gpt2", "gpt_neox", "opt", "rwkv6", "bert"]),
    "attention_output": ([1, 2, 3], ["llama", "mistral", "qwen2", "qwen3", "gpt2", "gpt_neox", "opt", "rwkv6", "bert"]),
    "state_echo": ([0, 1, 2, 3], ["rwkv6", "mamba"]),
}
EACH = [(name, layers, family) for name, (layers, families) in CASES.items() for family in families]


def close(ours, exact):
    return (ours - exact).abs().max() <= 2e-5 * exact.abs().max()


def test_the_names_without_torch_are_those_of_the_registry_and_each_is_tried_below():
    assert tuple(READOUTS) == NAMES
    assert {parsed(name)[0] for name in CASES} == set(NAMES)


@pytest.mark.parametrize(("name", "layers", "family"), EACH)
def test_a_readout_gives_a_vector_for_each_token_at_each_layer_that_exists(make, ids, name, layers, family):
    model, readout = make(family), readout_named(name)
    readout.checked(model)
    assert str(readout) == name
    assert readout.layers(model) == layers
    found = readout.read(model, ids)
    assert [layer.shape for layer in found] == [(3, 6, readout.width(model))] * len(layers)
    assert all(layer.isfinite().all() for layer in found)
    assert not any(close(a, b) for a, b in pairwise(found)), "layers differ"


@pytest.mark.parametrize(("name", "layers", "family"), EACH)
def test_some_layers_are_those_of_all_and_a_sentence_alone_is_that_of_a_batch(make, ids, name, layers, family):
    model, readout = make(family), readout_named(name)
    together = readout.read(model, ids)
    for wanted in ([layers[0]], [layers[-1]], layers[1:]):
        for number, layer in zip(wanted, readout.read(model, ids, wanted), strict=True):
            assert torch.equal(layer, together[layers.index(number)])
    for sentence in range(3):
        for of_batch, alone in zip(together, readout.read(model, ids[sentence : sentence + 1])):
            assert close(of_batch[sentence], alone[0])


@pytest.mark.parametrize("name", CASES)
def test_a_readout_leaves_the_model_as_it_was(make, ids, name):
    model = make(CASES[name][1][0])
    before = hidden_layers(model, ids)
    readout_named(name).read(model, ids, [1])
    assert all(torch.equal(a, b) for a, b in zip(before, hidden_layers(model, ids)))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("name", CASES)
def test_what_decides_a_readout_is_a_module_of_this_room_and_it_says_where_it_is_from(name):
    readout = readout_named(name)
    assert readout.module.startswith("pipeline.readouts.")
    assert readout.module.split(".")[-1] not in ("readout", "registry", "names")
    assert readout.source
    assert readout.passes >= 1


def test_plain_is_the_hidden_layers(make, ids):
    model = make("rwkv6")
    for ours, layer in zip(readout_named("plain").read(model, ids), hidden_layers(model, ids), strict=True):
        assert torch.equal(ours, layer)


def test_a_readout_of_another_width_is_refused(make, ids):
    wrong = replace(readout_named("plain"), width=lambda model: 31)
    with pytest.raises(InputError, match=r"LlamaForCausalLM: plain of layer 0 is \(3, 6, 32\), expected \(3, 6, 31\)"):
        wrong.read(make("llama"), ids)


@pytest.mark.parametrize(
    ("name", "family", "message"),
    [
        ("values", "mamba", "MambaForCausalLM has no values that is known: block 1 has none of self_attn.v_proj, "),
        ("attention_output", "mamba", "MambaForCausalLM has no attention_output that is known: block 1 has none of "),
        ("token_prepending_2", "bert", "a token of BertModel sees those to its right already: read it with plain"),
        ("token_prepending_3", "llama", "the last of the 3 blocks of LlamaForCausalLM reads layer 2: give a number fr"),
    ],
)
def test_what_a_family_lacks_is_one_line(make, name, family, message):
    with pytest.raises(InputError) as raised:
        readout_named(name).checked(make(family))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("plane", r"readout is 'plane': did you mean plain\?"),
        ("plain_3", r"readout is 'plain_3': did you mean plain\?"),
        ("token_prepending", r"readout is 'token_prepending': did you mean token_prepending_K\?.*K is a number"),
        ("token_prepending_-1", r"readout is 'token_prepending_-1': did you mean token_prepending_K\?"),
        ("token_prepending_02", r"readout is 'token_prepending_02': did you mean token_prepending_K\?"),
        ("value", r"readout is 'value': did you mean values\?"),
        ("", r"readout is '': expected one of plain"),
    ],
)
def test_a_wrong_name_names_the_near_misses(text, message):
    with pytest.raises(InputError, match=message):
        parsed(text)
    with pytest.raises(InputError, match=f"readout of model m is {text!r}"):
        parsed(text, "model m")
