"""What is trained, where it starts, and that what was saved is what was trained."""

import copy
import json
from dataclasses import replace

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from pipeline.base.errors import InputError
from pipeline.catalog.entries import Model
from pipeline.finetune.method import dropout_of_embeddings, layer_of, save, targets, trainee
from pipeline.finetune.train import snapshot
from pipeline.models import load, weights
from pipeline.models.adapters import applied
from pipeline.models.layers import hidden_layers

IDS = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6]])
LINEAR = {
    "rwkv6": {"receptance", "key", "value", "gate", "output"},
    "rwkv": {"receptance", "key", "value", "output"},
    "rwkv5": {"receptance", "key", "value", "gate", "output"},
    "rwkv7": {"r_proj", "k_proj", "v_proj", "o_proj", "key", "value", "0", "2"},
    "llama": {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"},
    "bert": {"query", "key", "value", "dense"},
    "gpt2": {"c_attn", "c_proj", "c_fc"},
}


@pytest.mark.parametrize("family", LINEAR)
def test_the_linear_maps_of_the_blocks_below_the_layer_are_the_targets(family, network):
    model = network(family)
    names = targets(model, 2)
    assert {name.rsplit(".", 1)[-1] for name in names} == LINEAR[family]
    assert any(".1." in name for name in names)
    assert not any(".2." in name for name in names)


@pytest.mark.parametrize("family", LINEAR)
@pytest.mark.parametrize("method", ["lora", "full"])
def test_what_was_saved_and_put_into_the_base_computes_what_was_trained(family, method, network, settings, tmp_path):
    base = network(family)
    before = hidden_layers(base, IDS)
    made = trainee(copy.deepcopy(base), settings(method=method))
    for a, b in zip(before, hidden_layers(made.model, IDS)):
        torch.testing.assert_close(b, a)  # it starts as it was
    with torch.no_grad():
        for parameter in made.weights.values():
            parameter.add_(0.3 * torch.randn_like(parameter))
    made.model.eval()
    expected = hidden_layers(made.model, IDS)
    save(made, snapshot(made), "the-base", tmp_path)
    found = hidden_layers(applied(base, tmp_path, "x").eval(), IDS)
    assert not torch.allclose(expected[-1], before[-1])
    for a, b in zip(expected, found):
        torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-4)
    if method == "lora":
        assert '"base_model_name_or_path": "the-base"' in (tmp_path / "adapter_config.json").read_text()


def test_full_trains_the_embeddings_and_the_blocks_below_the_layer_and_nothing_else(network, settings):
    names = trainee(network("rwkv6"), settings(method="full", layer=2)).weights
    assert {name.split(".")[1] for name in names} == {"embeddings", "blocks"}
    assert {name.split(".")[2] for name in names if "blocks" in name} == {"0", "1"}


@pytest.mark.parametrize(("given", "number"), [(-1, 3), (3, 3), (1, 1), (-3, 1)])
def test_layers_by_number(given, number, network):
    assert layer_of(network("rwkv6"), given) == number


@pytest.mark.parametrize("given", [0, 4, -4, -5])
def test_a_layer_that_training_cannot_change_is_refused(given, network):
    with pytest.raises(InputError, match=rf"finetune.layer is {given}: give 1 to 3, or -1 to -3"):
        layer_of(network("rwkv6"), given)


@pytest.mark.parametrize(("family", "drops"), [("rwkv6", True), ("llama", True), ("bert", False)])
def test_dropout_of_embeddings_where_a_model_has_none_of_its_own(family, drops, network):
    model = network(family)
    with dropout_of_embeddings(model, 0.5) as added:
        assert added is drops
        model.train()
        assert not torch.allclose(hidden_layers(model, IDS)[-1], hidden_layers(model, IDS)[-1])
    if drops:
        assert torch.equal(hidden_layers(model, IDS)[-1], hidden_layers(model, IDS)[-1])


# adapters in the catalogue


@pytest.fixture
def adapter(network, settings, tmp_path, seed):
    """The folder of an adapter of the tiny RWKV-6, and the entry of its base."""
    made = trainee(network("rwkv6"), settings())
    with torch.no_grad():
        for parameter in made.weights.values():
            parameter.add_(0.3 * torch.randn_like(parameter))
    save(made, snapshot(made), "base", tmp_path / "adapter")
    from tests.finetune.conftest import CONFIGS

    return tmp_path / "adapter", Model(random=seed, config=CONFIGS["rwkv6"])


def test_an_adapter_changes_what_is_loaded_and_its_fingerprint(adapter):
    folder, base = adapter
    tuned = replace(base, adapter=str(folder))
    assert weights.fingerprint(base, None) != weights.fingerprint(tuned, None)
    states = [hidden_layers(load.load(entry, weights.locate(entry, "x"), "x"), IDS)[-1] for entry in (base, tuned)]
    assert not torch.allclose(*states)
    assert base.is_control
    assert not tuned.is_control


def test_no_adapter_and_one_of_another_model_are_one_line(adapter, network, tmp_path):
    folder, base = adapter
    with pytest.raises(InputError, match=r"nowhere holds no adapter .*Mend `adapter` in catalog.yaml"):
        weights.locate(replace(base, adapter="nowhere"), "x")
    with pytest.raises(InputError, match=r"Run: dvc repro finetune@x"):
        weights.locate(replace(base, adapter="nowhere", finetune="base"), "x")
    with pytest.raises(InputError, match=r"adapter holds no adapter of this model|does not fit the model"):
        applied(network("llama"), folder, "x")
    (folder / "adapter_model.safetensors").write_bytes(b"cut")
    with pytest.raises(InputError, match="that can be read"):
        applied(network("rwkv6"), folder, "x")
    (folder / "adapter_config.json").write_text('{"peft_type": "IA3"}')
    with pytest.raises(InputError, match="only LoRA adapters are supported"):
        applied(network("rwkv6"), folder, "x")


@pytest.mark.parametrize("family", ["rwkv6", "rwkv7", "gpt2"])
def test_ranks_and_scales_of_modules_are_merged_as_peft_merges_them(family, network, tmp_path):
    names = targets(network(family), 3)
    config = LoraConfig(
        r=4,
        lora_alpha=6,
        target_modules=names,
        fan_in_fan_out=family == "gpt2",
        use_rslora=True,
        rank_pattern={names[0].rsplit(".", 1)[-1]: 2},
        alpha_pattern={r".*\.1\..*": 24},
    )
    wrapped = get_peft_model(network(family), config)
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora_" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
    wrapped.save_pretrained(tmp_path)
    expected = wrapped.merge_and_unload().state_dict()
    found, base = applied(network(family), tmp_path, "x").state_dict(), network(family).state_dict()
    assert sum(not torch.equal(found[name], base[name]) for name in base) == len(names)
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"use_dora": True}, "sets use_dora to True: only plain LoRA is merged here. Merge it with peft"),
        ({"init_lora_weights": "pissa"}, "sets init_lora_weights to 'pissa'"),
        ({"lora_alpha": None}, "has lora_alpha None, expected a number"),
    ],
)
def test_an_adapter_that_is_more_than_a_b_is_refused(change, complaint, adapter, network):
    folder, _ = adapter
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(InputError, match=complaint):
        applied(network("rwkv6"), folder, "x")


def test_a_half_or_empty_adapter_is_named(adapter, network):
    file = adapter[0] / "adapter_model.safetensors"
    tensors = load_file(file)
    lost = next(name for name in tensors if "lora_B" in name)
    save_file({name: tensor for name, tensor in tensors.items() if name != lost}, file)
    with pytest.raises(InputError, match=f"missing {lost}"):
        applied(network("rwkv6"), adapter[0], "x")
    save_file({}, file)
    with pytest.raises(InputError, match="missing any lora_A"):
        applied(network("rwkv6"), adapter[0], "x")
