"""Every readout, on a model of each kind: what they have in common. What each of them reads is in its own file."""

import pytest
import torch

from pipeline.base.errors import InputError
from pipeline.models.layers import hidden_layers
from pipeline.models.rwkv6 import Rwkv6ForCausalLM
from pipeline.models.rwkv6_config import Rwkv6Config
from pipeline.readouts.names import NAMES, parsed
from pipeline.readouts.registry import READOUTS, readout_named

CASES = {"plain": [0, 1, 2], "state_echo": [0, 1, 2]}
"""a name with its numbers -> the layers of a model of two blocks"""


@pytest.fixture
def model(seed):
    torch.manual_seed(seed)
    return Rwkv6ForCausalLM(Rwkv6Config(vocab_size=64, hidden_size=32, num_hidden_layers=2, head_size=8)).eval()


def test_the_names_without_torch_are_those_of_the_registry_and_each_is_tried_below():
    assert tuple(READOUTS) == NAMES
    assert {parsed(name)[0] for name in CASES} == set(NAMES)


@pytest.mark.parametrize(("name", "layers"), CASES.items())
def test_a_readout_gives_a_vector_for_each_token_at_each_layer_that_exists(model, name, layers):
    readout, ids = readout_named(name), torch.randint(0, 64, (3, 5))
    readout.checked(model)
    assert str(readout) == name
    assert readout.layers(model) == layers
    found = readout.read(model, ids)
    assert [layer.shape for layer in found] == [(3, 5, readout.width(model))] * len(layers)
    assert all(layer.isfinite().all() for layer in found)


@pytest.mark.parametrize("name", CASES)
def test_some_layers_are_those_of_all_and_a_sentence_alone_is_that_of_a_batch(model, name):
    readout, ids = readout_named(name), torch.randint(0, 64, (3, 5))
    layers, together = readout.layers(model), readout.read(model, ids)
    for wanted in ([layers[0]], [layers[-1]], layers[1:]):
        for number, layer in zip(wanted, readout.read(model, ids, wanted), strict=True):
            assert torch.equal(layer, together[layers.index(number)])
    for sentence in range(3):
        for of_batch, alone in zip(together, readout.read(model, ids[sentence : sentence + 1])):
            assert (of_batch[sentence] - alone[0]).abs().max() <= 1e-5 * alone.abs().max()


@pytest.mark.parametrize("name", CASES)
def test_what_decides_a_readout_is_a_module_of_this_room_and_it_says_where_it_is_from(name):
    readout = readout_named(name)
    assert readout.module.startswith("pipeline.readouts.")
    assert readout.module.split(".")[-1] not in ("readout", "registry", "names")
    assert readout.source
    assert readout.passes >= 1


def test_plain_is_the_hidden_layers(model):
    ids = torch.randint(0, 64, (2, 4))
    for ours, layer in zip(readout_named("plain").read(model, ids), hidden_layers(model, ids), strict=True):
        assert torch.equal(ours, layer)


def test_a_readout_of_another_width_is_refused(model):
    from dataclasses import replace

    wrong = replace(readout_named("plain"), width=lambda model: 31)
    with pytest.raises(InputError, match=r"Rwkv6ForCausalLM: plain of layer 0 is \(2, 4, 32\), expected \(2, 4, 31\)"):
        wrong.read(model, torch.randint(0, 64, (2, 4)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("plane", r"readout is 'plane': did you mean plain\?"),
        ("plain_3", r"readout is 'plain_3': did you mean plain\?"),
        ("", r"readout is '': expected one of plain"),
    ],
)
def test_a_wrong_name_names_the_near_misses(text, message):
    with pytest.raises(InputError, match=message):
        parsed(text)
