"""Every kind of entry -> a model, and what is said of those that cannot be loaded."""

import json
from itertools import pairwise

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    PreTrainedConfig,
    RwkvConfig,
    RwkvForCausalLM,
)

from pipeline.base.errors import InputError
from pipeline.catalog.entries import Model
from pipeline.dump.settings import DTYPES as DTYPES_OF_SETTINGS
from pipeline.models.layers import hidden_layers
from pipeline.models.load import DTYPES, kernel_of, load
from pipeline.models.rwkv4 import Rwkv4ForCausalLM
from pipeline.models.rwkv6 import Rwkv6ForCausalLM

RANDOM = {"model_type": "rwkv6", "vocab_size": 80, "hidden_size": 32, "num_hidden_layers": 2, "head_size": 8}


def random_model(seed=0, **changes):
    return load(Model(random=seed, config=RANDOM | changes), None, "m")


def loaded(path):
    return load(Model(path=str(path)), path, "m")


def test_random_weights_follow_the_seed_alone():
    torch.manual_seed(1)
    first = random_model(3)
    torch.manual_seed(2)
    same, other = random_model(3), random_model(4)
    weights = first.state_dict()
    assert isinstance(first, Rwkv6ForCausalLM)
    assert all(torch.equal(weights[name], p) for name, p in same.state_dict().items())
    assert not torch.equal(weights["head.weight"], other.state_dict()["head.weight"])


def test_random_weights_leave_the_callers_stream_of_random_numbers_as_it_was():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    random_model(3)
    assert torch.equal(torch.rand(3), expected)


def test_every_block_of_an_untrained_model_does_something():
    """BlinkDL's initial values would leave the residual stream as it is: no control at all."""
    layers = hidden_layers(random_model(), torch.randint(0, 80, (2, 12)))
    assert all((b - a).norm() > 0.1 * a.norm() for a, b in pairwise(layers))


@pytest.mark.parametrize(
    ("family", "sizes"),
    [
        ("gpt2", {"n_embd": 32, "n_layer": 2, "n_head": 4}),
        ("rwkv", {"intermediate_size": 64}),
        ("bert", {"num_attention_heads": 4, "intermediate_size": 64}),
        ("rwkv6", {"head_size": 8}),
    ],
)
def test_a_folder_in_the_hubs_layout_loads_offline_with_its_head(family, sizes, tmp_path):
    config = AutoConfig.for_model(family, vocab_size=80, hidden_size=32, num_hidden_layers=2, **sizes)
    auto = AutoModel if family == "bert" else AutoModelForCausalLM
    original = auto.from_config(config).eval()
    original.save_pretrained(tmp_path)
    model = loaded(tmp_path)
    assert type(model) is type(original)
    assert not model.training
    assert all(torch.equal(a, b) for a, b in zip(original.state_dict().values(), model.state_dict().values()))
    assert not any(p.requires_grad for p in model.parameters())


def test_rwkv4_of_the_hub_is_read_without_rescaling(tmp_path):
    """transformers' RWKV-4 halves the stream every `rescale_every` blocks; a stored layer must not be halved."""
    original = RwkvForCausalLM(
        RwkvConfig(vocab_size=80, hidden_size=32, num_hidden_layers=4, rescale_every=2, use_cache=False)
    ).eval()
    original.save_pretrained(tmp_path)
    model, ids = loaded(tmp_path), torch.randint(0, 80, (2, 6))
    assert isinstance(model, Rwkv4ForCausalLM)
    original.config.rescale_every = 0
    expected, layers = hidden_layers(original, ids), hidden_layers(model, ids)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(expected, layers))


def test_classes_that_another_package_registered_are_not_used():
    """flash-linear-attention registers its own RWKV-6 and 7 when its kernels are imported."""

    class TheirConfig(PreTrainedConfig):
        model_type = "rwkv6"

    AutoConfig.register("rwkv6", TheirConfig, exist_ok=True)
    assert isinstance(random_model(), Rwkv6ForCausalLM)


def test_weights_can_be_bfloat16():
    model = load(Model(random=0, config=RANDOM), None, "m", "bfloat16")
    assert model.head.weight.dtype == torch.bfloat16
    assert kernel_of(model) is None, "there is no fused kernel on a CPU"


def test_types_are_those_that_params_yaml_may_name():
    assert tuple(DTYPES) == DTYPES_OF_SETTINGS
    with pytest.raises(InputError, match=r"dump\.dtype is 'float8': .*xpected one of float32, bfloat16"):
        load(Model(random=0, config=RANDOM), None, "m", "float8")


def test_pickled_weights_in_the_hubs_layout_load_as_tensors_only(tmp_path):
    """As RWKV/v6-Finch-1B6-HF has them. A pickle that runs code on loading is refused and runs nothing."""
    original = random_model()
    original.config.architectures = ["Rwkv6ForCausalLM"]
    original.config.save_pretrained(tmp_path)
    torch.save(original.state_dict(), tmp_path / "pytorch_model.bin")
    model = loaded(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(original.state_dict().values(), model.state_dict().values()))

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    torch.save(original.state_dict() | {"x": Evil()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"(?i)weights.only|unsupported"):
        loaded(tmp_path)
    assert not (tmp_path / "owned").exists()


def test_a_masked_language_model_loads_without_its_head(tmp_path):
    sizes = {"vocab_size": 80, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = AutoConfig.for_model("bert", intermediate_size=64, **sizes)
    original = AutoModelForMaskedLM.from_config(config).eval()
    original.save_pretrained(tmp_path)
    model, ids = loaded(tmp_path), torch.randint(0, 80, (1, 6))
    assert model.get_output_embeddings() is None
    assert all(torch.equal(a, b) for a, b in zip(hidden_layers(original, ids), hidden_layers(model, ids)))


def test_code_that_comes_with_a_model_is_never_run(tmp_path):
    names = {"AutoConfig": "evil.Config", "AutoModel": "evil.Model", "AutoModelForCausalLM": "evil.Model"}
    ran = tmp_path / "ran"
    (tmp_path / "evil.py").write_text(f"open({str(ran)!r}, 'w').close()\nclass Config: pass\nclass Model: pass\n")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "evil", "auto_map": names}))
    save_file({"weight": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match=rf"{tmp_path} without remote code"):
        loaded(tmp_path)
    assert not ran.exists()


VALUE, DECAY = "rwkv.blocks.1.feed_forward.value.weight", "rwkv.blocks.1.attention.time_decay"
SURPLUS = "rwkv.blocks.1.attention.surplus"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: {n: p for n, p in t.items() if n != DECAY}, rf"missing {DECAY}[^_]"),
        (lambda t: t | {SURPLUS: torch.zeros(3)}, rf"extra {SURPLUS}"),
        (lambda t: t | {VALUE: t[VALUE].T.contiguous()}, rf"{VALUE} is \(96, 32\), expected \(32, 96\)"),
    ],
    ids=["missing", "extra", "misshapen"],
)
def test_a_folder_of_the_hub_that_does_not_fit_is_refused_with_the_tensor(tmp_path, change, message):
    random_model().save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    save_file(change(load_file(file)), file, metadata={"format": "pt"})
    with pytest.raises(InputError, match=rf"{tmp_path} does not fit the model: {message}.* and complete\?"):
        loaded(tmp_path)


def test_a_folder_of_the_hub_that_was_cut_short_is_refused_with_its_name(tmp_path):
    random_model().save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(InputError, match=rf"{tmp_path}.*complete"):
        loaded(tmp_path)


def test_a_folder_with_a_config_and_no_weights_is_named(tmp_path):
    random_model().config.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=rf"no weights in {tmp_path}"):
        loaded(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"model_type": "rwkv6", "head_size": "x"}', '{"model_type": "nothing"}'])
def test_a_config_that_cannot_be_is_refused_with_its_folder(tmp_path, text):
    random_model().save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InputError, match=rf"no model can be loaded from {tmp_path}"):
        loaded(tmp_path)


def test_a_random_model_without_a_type_is_refused():
    sizes = {name: size for name, size in RANDOM.items() if name != "model_type"}
    message = r"model m is random but has no config\.model_type: give it, such as rwkv6, and the sizes"
    with pytest.raises(InputError, match=message):
        load(Model(random=0, config=sizes), None, "m")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "rwkv66"}, "Unrecognized model identifier: rwkv66"),
        ({"model_type": "rwkv6", "head_size": "eight"}, "head_size.*eight"),
        ({"model_type": "gpt2", "n_embd": 33, "n_head": 4}, "divisible by num_heads"),
        ({"model_type": "llama", "hidden_size": 33, "num_attention_heads": 4}, "not a multiple"),
    ],
)
def test_sizes_of_a_random_model_that_cannot_be_are_refused_in_one_line(config, message):
    with pytest.raises(InputError, match=rf"model m: transformers makes no model of .*{message}") as refused:
        load(Model(random=0, config=config), None, "m")
    assert len(str(refused.value).splitlines()) == 1


def test_heads_of_a_random_rwkv6_that_do_not_fill_its_width_are_refused():
    with pytest.raises(InputError, match="hidden_size 32 is not a multiple of head_size 7"):
        random_model(head_size=7)


def test_what_transformers_says_of_a_missing_head_or_pooler_alarms_nobody(tmp_path, capfd):
    """A pooler that the checkpoint lacks is used for nothing here; what is missing and needed is an error of ours."""
    sizes = {"vocab_size": 80, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = AutoConfig.for_model("bert", intermediate_size=64, **sizes)
    AutoModelForMaskedLM.from_config(config).save_pretrained(tmp_path)
    capfd.readouterr()
    loaded(tmp_path)
    assert capfd.readouterr() == ("", "")
