"""What cannot be a model is said before weights are made or read."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

from pipeline.base.errors import InputError
from pipeline.catalog.entries import Model
from pipeline.models import configs
from pipeline.models.layers import hidden_layers
from pipeline.models.load import load

RWKV6 = {"model_type": "rwkv6", "vocab_size": 80, "hidden_size": 32, "num_hidden_layers": 2, "head_size": 8}
BERT = {"vocab_size": 80, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}


def random_model(**config):
    return load(Model(random=0, config=config), None, "m")


def from_folder(path, **config):
    return load(Model(path=str(path), config=config), path, "m")


@pytest.fixture
def folder(tmp_path):
    """A small BERT in the hub's layout."""
    AutoModel.from_config(AutoConfig.for_model("bert", **BERT)).save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (RWKV6 | {"hidden_sise": 64}, r"a config of rwkv6 has no 'hidden_sise': did you mean hidden_size\?"),
        (RWKV6 | {"n_embd": 64}, r"a config of rwkv6 has no 'n_embd'"),
        (BERT | {"model_type": "bert", "num_layers": 2}, r"has no 'num_layers': did you mean num_hidden_layers"),
        (BERT | {"model_type": "bert", "hidden_size": 0}, r"m: hidden_size is 0, expected at least 1"),
        (BERT | {"model_type": "bert", "num_hidden_layers": 0}, r"m: num_hidden_layers is 0, expected at least 1"),
        (BERT | {"model_type": "bert", "vocab_size": -5}, r"vocab_size is -5, expected at least 1"),
        (BERT | {"model_type": "bert", "num_hidden_layers": 10**7}, r"is 10000000, expected at most 1000"),
        ({"model_type": "musicgen"}, r"musicgen is not one language model, but several"),
        (BERT | {"model_type": "bert", "vocab_size": 10**10}, r"parameters, .* GB in float32; this machine has"),
    ],
)
def test_sizes_of_a_control_that_cannot_be_meant_are_refused(config, message):
    with pytest.raises(InputError, match=message):
        random_model(**config)


def test_names_that_transformers_maps_or_renames_are_fields():
    gpt2 = {"model_type": "gpt2", "vocab_size": 80, "hidden_size": 32, "n_layer": 2, "n_head": 4, "bos_token_id": 0}
    assert random_model(**gpt2).config.n_embd == 32
    llama = BERT | {"model_type": "llama", "rope_theta": 5000.0}
    assert random_model(**llama).config.rope_parameters["rope_theta"] == 5000


def test_a_misspelt_override_of_a_folder_is_refused(folder):
    with pytest.raises(InputError, match=r"has no 'layer_norm_epz': did you mean layer_norm_eps\?"):
        from_folder(folder, layer_norm_epz=1e-6)
    assert from_folder(folder, layer_norm_eps=1e-6).config.layer_norm_eps == 1e-6


def test_a_random_rwkv4_is_not_rescaled():
    sizes = {"vocab_size": 80, "hidden_size": 32, "num_hidden_layers": 8, "context_length": 32}
    model = random_model(model_type="rwkv", **sizes)
    layers = hidden_layers(model, torch.randint(0, 80, (2, 5)))
    with torch.inference_mode():
        for block, before, after in zip(model.rwkv.blocks[1:], layers[1:], layers[2:]):
            assert torch.allclose(block(before)[0], after, atol=1e-5)
    with pytest.raises(InputError, match=r"a config of rwkv has no 'rescale_every'"):
        random_model(model_type="rwkv", rescale_every=2, **sizes)


def test_a_lora_adapter_is_no_model_and_the_field_for_it_is_named(folder):
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))
    with pytest.raises(
        InputError, match=r"holds a LoRA adapter .*not the weights of a model: give this folder as `adapter`"
    ):
        from_folder(folder)


@pytest.mark.parametrize("method", ["bitsandbytes", "gptq", "awq", "fp8"])
def test_quantized_weights_are_refused(folder, method):
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": method, "load_in_8bit": True, "bits": 4}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=rf"are quantized \({method}\): give those that they were made from"):
        from_folder(folder)


def test_gguf_is_refused_by_name(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    for path in (tmp_path, tmp_path / "model.gguf"):
        with pytest.raises(InputError, match="is GGUF, a format of quantized weights"):
            from_folder(path)


@pytest.mark.parametrize("kind", [torch.int8, torch.complex64])
def test_weights_that_are_no_real_numbers_are_refused(folder, kind):
    file = folder / "model.safetensors"
    tensors = load_file(file)
    name = "encoder.layer.1.output.dense.weight"
    save_file(tensors | {name: tensors[name].to(kind)}, file, metadata={"format": "pt"})
    with pytest.raises(InputError, match=rf"{name} holds \w+, expected real numbers"):
        from_folder(folder)


@pytest.mark.parametrize("kind", [torch.int8, torch.complex64])
def test_blinkdls_weights_that_are_no_real_numbers_are_refused(tmp_path, kind):
    model = random_model(**RWKV6)
    names = {"rwkv.": "", "embeddings.": "emb.", "pre_ln.": "ln0.", "attention.": "att.", "feed_forward.": "ffn."}

    def theirs(name):
        for ours, other in names.items():
            name = name.replace(ours, other)
        return name

    tensors = {theirs(name): tensor for name, tensor in model.state_dict().items()}
    torch.save(tensors, tmp_path / "m.pth")
    assert load(Model(path="m.pth"), tmp_path / "m.pth", "m").config.hidden_size == 32
    torch.save(tensors | {"head.weight": tensors["head.weight"].to(kind)}, tmp_path / "m.pth")
    with pytest.raises(InputError, match=r"head\.weight holds \w+, expected real numbers"):
        load(Model(path="m.pth"), tmp_path / "m.pth", "m")


@pytest.mark.parametrize("content", [[torch.zeros(2)], {"a": [1]}, torch.zeros(3), "text"])
def test_a_checkpoint_that_holds_something_else_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "m.pth")
    with pytest.raises(InputError, match=r"m\.pth is not a mapping of names to tensors"):
        load(Model(path="m.pth"), tmp_path / "m.pth", "m")


def test_a_folder_called_like_a_file_of_weights_is_refused(tmp_path):
    (tmp_path / "x.safetensors").mkdir()
    for path in (tmp_path, tmp_path / "x.safetensors"):
        with pytest.raises(InputError, match=r"no weights in|cannot be read as weights"):
            load(Model(path=str(path)), path, "m")


def test_old_integer_buffers_of_gpt2_are_no_weights(tmp_path):
    """Checkpoints of 2019 hold the causal mask as `attn.bias`."""
    sizes = {"vocab_size": 80, "n_embd": 32, "n_layer": 1, "n_head": 4, "n_positions": 8, "bos_token_id": 0}
    AutoModelForCausalLM.from_config(AutoConfig.for_model("gpt2", **sizes)).save_pretrained(tmp_path)
    assert configs.folder_config(tmp_path, {}).use_cache is False
    assert from_folder(tmp_path).config.n_layer == 1
