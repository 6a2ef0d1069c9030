"""Which generation of RWKV a checkpoint is: BlinkDL's layout, the hub's, and what is said of those that are none."""

import json
import re

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.base.errors import InputError
from pipeline.catalog.entries import Model
from pipeline.models.generations import GENERATIONS, load_rwkv
from pipeline.models.layers import hidden_layers
from pipeline.models.load import load
from tests.models.conftest import OF_GENERATION

KINDS = list(OF_GENERATION)
NAMES = dict(zip(KINDS, GENERATIONS))
every_generation = pytest.mark.parametrize("kind", KINDS)


@every_generation
@pytest.mark.parametrize("layout", ["m.pth", "m.safetensors", "shards"])
def test_every_layout_loads_the_same_weights_and_sizes(network, blinkdl, tmp_path, kind, layout):
    model, path = network(kind), tmp_path
    tensors = blinkdl(model)
    if layout == "shards":
        for i in range(3):
            save_file({name: tensors[name] for name in sorted(tensors)[i::3]}, tmp_path / f"part-{i}.safetensors")
    else:
        path = tmp_path / layout
        (torch.save if path.suffix == ".pth" else save_file)(tensors, path)
    loaded = load(Model(path=str(path)), path, "m")
    assert type(loaded) is type(model)
    assert loaded.config.to_dict() | {"dtype": None} == model.config.to_dict() | {"dtype": None}
    assert all(torch.equal(loaded.state_dict()[name], tensor) for name, tensor in model.state_dict().items())


@every_generation
def test_weights_are_cast_to_the_type_that_is_asked_for(network, blinkdl, tmp_path, kind):
    save_file(blinkdl(network(kind)), tmp_path / "m.safetensors")
    assert {p.dtype for p in load_rwkv(tmp_path / "m.safetensors", torch.bfloat16).parameters()} == {torch.bfloat16}


@every_generation
@pytest.mark.parametrize("what", ["missing", "extra", "misshapen"])
def test_a_checkpoint_that_does_not_fit_is_refused_with_the_tensor(network, blinkdl, tmp_path, kind, what):
    tensors, path = blinkdl(network(kind)), tmp_path / "m.safetensors"
    value = tensors.pop("blocks.1.ffn.value.weight")
    if what != "missing":
        tensors |= {"blocks.1.ffn.value.weight": value.T.contiguous() if what == "misshapen" else value}
    if what == "extra":
        tensors["blocks.1.ffn.s_emb"] = torch.zeros(3)  # as in a variant of RWKV-7 with embeddings in its blocks
    save_file(tensors, path)
    message = {
        "missing": r"missing \S+1\.\S+\.value\.weight",
        "extra": r"extra \S+\.s_emb",
        "misshapen": r"\S+value\.weight is \(\d+, 64\), expected \(64, \d+\)",
    }
    with pytest.raises(InputError, match=rf"{path} does not fit the model: {message[what]}.* and complete\?"):
        load_rwkv(path)


@every_generation
def test_what_tells_the_sizes_is_named_where_it_is_missing_flat_or_empty(network, blinkdl, tmp_path, kind):
    tensors, path = blinkdl(network(kind)), tmp_path / "m.safetensors"
    for name in GENERATIONS[NAMES[kind]].tell_sizes:
        rest = {other: tensor for other, tensor in tensors.items() if other != name}
        marks = [mark for mark in (".att.gate.", GENERATIONS[NAMES[kind]].mark) if mark in name]
        if not marks:  # without it, it is another generation
            save_file(rest, path)
            with pytest.raises(InputError, match=rf"not all of an {NAMES[kind]} checkpoint: it has no {name}"):
                load_rwkv(path)
        for changed in (tensors[name].flatten(), torch.zeros(len(tensors[name]), 0)):
            save_file(rest | {name: changed}, path)
            shape = re.escape(str(tuple(changed.shape)))
            with pytest.raises(InputError, match=rf"{name} is {shape}, expected a matrix"):
                load_rwkv(path)


def test_unused_tensors_of_the_first_block_are_left_out(network, blinkdl, tmp_path):
    """Published RWKV-7 checkpoints hold v0, v1 and v2 of the first block, which nothing reads."""
    model = network("rwkv7")
    tensors = blinkdl(model)
    more = {f"blocks.0.att.v{i}": tensors[f"blocks.1.att.v{i}"] + 1 for i in range(3)}
    save_file(tensors | more, tmp_path / "m.safetensors")
    assert load_rwkv(tmp_path / "m.safetensors").state_dict().keys() == model.state_dict().keys()


def test_a_model_of_one_block_loads(network, blinkdl, tmp_path):
    """Its RWKV-7 has no v1, which would tell a rank that it does not have either."""
    for kind in KINDS:
        model = network(kind, num_hidden_layers=1)
        save_file(blinkdl(model), tmp_path / "m.safetensors")
        assert len(load_rwkv(tmp_path / "m.safetensors").state_dict()) == len(model.state_dict())


def test_rwkv5_0_is_refused_by_its_name(network, blinkdl, tmp_path):
    """RWKV-5.0 has no gate."""
    tensors = {name: tensor for name, tensor in blinkdl(network("rwkv5")).items() if "gate" not in name}
    save_file({n: t for n, t in tensors.items() if "mix_g" not in n}, tmp_path / "m.safetensors")
    with pytest.raises(InputError, match=r"m\.safetensors is RWKV-5\.0, which has no att\.gate: .*only 5\.1 and 5\.2"):
        load_rwkv(tmp_path / "m.safetensors")


@pytest.mark.parametrize(("first", "second"), [("rwkv", "rwkv7"), ("rwkv5", "rwkv6"), ("rwkv6", "rwkv7")])
def test_tensors_of_two_generations_are_refused_with_both_names(network, blinkdl, tmp_path, first, second):
    save_file(blinkdl(network(first)) | blinkdl(network(second)), tmp_path / "m.safetensors")
    both = rf"{NAMES[first]} \(\S+\) and {NAMES[second]} \(\S+\)"
    if first == "rwkv":  # with the norm of RWKV-7 beside them, its mixes are those of RWKV-5
        both = both.replace("RWKV-4", "RWKV-5")
    with pytest.raises(
        InputError, match=rf"m\.safetensors holds tensors of {both}: give a checkpoint of one generation"
    ):
        load_rwkv(tmp_path / "m.safetensors")


def test_tensors_of_no_generation_are_refused(tmp_path):
    save_file({"transformer.wte.weight": torch.zeros(3, 4)}, tmp_path / "m.safetensors")
    with pytest.raises(InputError, match=r"m\.safetensors is no RWKV checkpoint: it has no tensor of any generation"):
        load_rwkv(tmp_path / "m.safetensors")


def published(kind, model, folder):
    """A folder as it is published: fields of its own in config.json, remote code, and of RWKV-7 packed mixes."""
    model.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "rwkv": {"rescale_every": 6, "use_cache": True},
        "rwkv5": {"rescale_every": 6, "num_attention_heads": 64, "attention_hidden_size": 64, "model_version": "5_2"},
        "rwkv6": {"rescale_every": 6, "num_attention_heads": 64, "attention_hidden_size": 64},
        "rwkv7": {"attn": None, "attn_mode": "chunk", "fuse_norm": False, "norm_first": True, "norm_bias": True,
                  "hidden_act": "sqrelu", "num_heads": 32, "value_dim": [64] * 3, "max_position_embeddings": 2048,
                  "fuse_cross_entropy": True, "initializer_range": 0.006},
    }[kind]  # fmt: skip
    config["auto_map"] = {"AutoModelForCausalLM": "modeling_evil.Evil"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "modeling_evil.py").write_text("raise SystemExit('remote code was run')")


@every_generation
def test_a_published_folder_loads_without_its_code(network, tmp_path, kind):
    model, ids = network(kind), torch.randint(0, 97, (1, 12))
    published(kind, model, tmp_path)
    loaded = load(Model(path=str(tmp_path)), tmp_path, "m")
    assert type(loaded) is type(model)
    assert all(torch.equal(a, b) for a, b in zip(hidden_layers(model, ids), hidden_layers(loaded, ids)))


@pytest.mark.parametrize("shape", [(6, 64), (6, 1, 1, 64)])
def test_mixes_that_are_packed_are_taken_apart(network, tmp_path, shape):
    model, ids = network("rwkv7"), torch.randint(0, 97, (1, 12))
    model.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    for i in range(3):
        parts = [tensors.pop(f"model.layers.{i}.attn.x_{name}") for name in "rwkvag"]
        tensors[f"model.layers.{i}.attn.x_x"] = torch.cat(parts).view(shape)
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    loaded = load(Model(path=str(tmp_path)), tmp_path, "m")
    assert all(torch.equal(a, b) for a, b in zip(hidden_layers(model, ids), hidden_layers(loaded, ids)))
    del tensors["model.layers.1.attn.x_x"]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"does not fit the model: missing model\.layers\.1\.attn\.x_a"):
        load(Model(path=str(tmp_path)), tmp_path, "m")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"attn": {"layers": [1]}}, r"RWKV-7 with attn \{'layers': \[1\]\} is not read here, only with None"),
        ({"norm_first": False}, r"RWKV-7 with norm_first False is not read here, only with True"),
        ({"value_dim": [64, 32, 64]}, r"RWKV-7 with a value_dim other than hidden_size 64"),
        ({"head_dim": 24}, r"hidden_size 64 is not a multiple of head_size 24"),
    ],
)
def test_another_network_of_the_family_is_refused(network, tmp_path, fields, message):
    network("rwkv7").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text()) | fields
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=message):
        load(Model(path=str(tmp_path)), tmp_path, "m")
