"""A network over several places gives the bytes that it gives on one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

import pipeline.models.generations  # noqa: F401  (registers the generations with the Auto classes)
from pipeline.base.errors import InputError
from pipeline.catalog.entries import Model
from pipeline.models import offloaded, spread
from pipeline.models.devices import device_of, weight_of
from pipeline.models.layers import hidden_layers
from pipeline.models.load import kernel_of, load
from pipeline.models.spread import Spread, named, never_split, sizes_of
from pipeline.models.unembedding import unembedding_of
from pipeline.readouts.registry import readout_of
from tests.helpers import ROOT
from tests.models.small import ENCODERS, FAMILIES, HEADS

IDS = torch.arange(66).view(2, 33)
READ = [("tokens", "plain"), ("tokens", "values"), ("tokens", "attention_output"), ("tokens", "state_echo")]
READ += [("tokens", "token_prepending_1"), ("state", "plain")]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """The current folder is tmp_path, in which weights may wait on the disk."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def saved(seeded):
    """A function: a random model of a family, saved in the folder of its name -> the bytes of its weights."""

    def save(family, **changes):
        auto = AutoModel if family in ENCODERS else AutoModelForCausalLM
        model = auto.from_config(AutoConfig.for_model(family, **(FAMILIES[family] | changes)))
        model.save_pretrained(family)
        return sum(p.numel() * p.element_size() for p in model.parameters())

    return save


def shapes(family, **changes):
    """A model without memory."""
    with torch.device("meta"):
        auto = AutoModel if family in ENCODERS else AutoModelForCausalLM
        return auto.from_config(AutoConfig.for_model(family, **(FAMILIES[family] | changes)))


def both(entry, path, share):
    """A model on the CPU, and with about this share of its weights in memory, the others on the disk."""
    whole = load(entry, path, "tiny")
    size = sum(p.numel() * p.element_size() for p in whole.parameters())
    return whole, load(entry, path, "tiny", spread=Spread("", {"cpu": int(share * size)}, True))


def waiting(model):
    """How many weights are not in memory."""
    return sum(p.device.type == "meta" for p in model.parameters())


def assert_same_layers(whole, parts):
    assert waiting(parts) > 0
    assert device_of(parts) == torch.device("cpu")
    for one, other in zip(hidden_layers(whole, IDS), hidden_layers(parts, IDS), strict=True):
        assert torch.equal(one, other)


# weights that wait on the disk


@pytest.mark.parametrize("share", [0.0, 0.9])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_readout_is_the_same_when_weights_wait_on_the_disk(saved, family, share):
    saved(family)
    whole, parts = both(Model(path=family), Path(family), share)
    assert_same_layers(whole, parts)
    for keep, name in READ:
        readout = readout_of(keep, name)
        try:
            readout.checked(whole)
        except InputError:
            continue  # the family does not have it
        for one, other in zip(readout.read(whole, IDS), readout.read(parts, IDS), strict=True):
            assert torch.equal(one, other)
    if family not in ENCODERS:
        assert vars(unembedding_of(whole)).keys() == vars(unembedding_of(parts)).keys()
        assert torch.equal(weight_of(parts.get_output_embeddings()), whole.get_output_embeddings().weight)
        with torch.inference_mode():
            assert torch.equal(whole(input_ids=IDS).logits, parts(input_ids=IDS).logits)


def test_weights_in_safetensors_are_read_where_they_lie_and_others_are_put_aside(saved):
    saved("llama")
    both(Model(path="llama"), Path("llama"), 0)
    assert not list(offloaded.OFFLOADED.glob("*/*.safetensors"))
    tensors = load(Model(path="llama"), Path("llama"), "tiny").state_dict()
    Path("llama/model.safetensors").unlink()
    torch.save(tensors, "llama/pytorch_model.bin")
    whole, parts = both(Model(path="llama"), Path("llama"), 0)
    assert_same_layers(whole, parts)
    assert list(offloaded.OFFLOADED.glob("*/*.safetensors"))


def test_a_head_that_the_folder_has_and_a_pooler_that_it_lacks_do_no_harm(seeded):
    from transformers import AutoModelForMaskedLM

    AutoModelForMaskedLM.from_config(AutoConfig.for_model("bert", **FAMILIES["bert"])).save_pretrained("masked")
    assert_same_layers(*both(Model(path="masked"), Path("masked"), 0.5))


@pytest.mark.parametrize("kind", ["rwkv", "rwkv5", "rwkv6", "rwkv7"])
def test_a_file_of_blinkdl_goes_by_way_of_memory(network, blinkdl, kind):
    save_file(blinkdl(network(kind)), "weights.safetensors")
    assert_same_layers(*both(Model(path="weights.safetensors"), Path("weights.safetensors"), 0.5))


def test_so_do_random_weights_in_either_type(seeded):
    entry = Model(random=3, config={"model_type": "gpt2", **FAMILIES["gpt2"]})
    assert_same_layers(*both(entry, None, 0.5))
    whole = load(entry, None, "tiny", "bfloat16")
    parts = load(entry, None, "tiny", "bfloat16", Spread("", {"cpu": 1}, True))
    assert parts.dtype == torch.bfloat16
    assert_same_layers(whole, parts)


def test_an_adapter_is_merged_before_weights_are_spread(saved):
    saved("llama")
    name, rank = "base_model.model.model.layers.2.self_attn.q_proj", 2
    tensors = {f"{name}.lora_A.weight": torch.randn(rank, 32), f"{name}.lora_B.weight": torch.randn(32, rank)}
    Path("adapter").mkdir()
    save_file(tensors, "adapter/adapter_model.safetensors")
    config = {"peft_type": "LORA", "lora_alpha": 4, "r": rank, "init_lora_weights": True}
    Path("adapter/adapter_config.json").write_text(json.dumps(config))
    whole, parts = both(Model(path="llama", adapter="adapter"), Path("llama"), 0.5)
    assert_same_layers(whole, parts)
    plain = load(Model(path="llama"), Path("llama"), "tiny")
    assert not torch.equal(hidden_layers(plain, IDS)[-1], hidden_layers(parts, IDS)[-1])


def test_what_fits_one_place_is_there_without_hooks(saved, capsys):
    saved("llama")
    model = load(Model(path="llama"), Path("llama"), "tiny", spread=named("auto"))
    assert waiting(model) == 0
    assert not any(hasattr(module, "_hf_hook") for module in model.modules())
    assert kernel_of(model) is None
    said = [line for line in capsys.readouterr().err.splitlines() if "weights are" in line]
    assert said == ["model tiny: weights are in memory of the host (0.1 MB)"]


def test_folders_of_processes_that_were_killed_are_removed_and_those_in_use_are_not():
    program = (
        "import os, signal; from pipeline.models.offloaded import new_folder;"
        "print(new_folder(1), flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    left = Path(done.stdout.strip())
    assert left.is_dir()
    mine = offloaded.new_folder(1)
    assert not left.exists()
    offloaded.new_folder(1)
    assert mine.is_dir()


def test_weights_that_do_not_fit_the_disk_are_refused_before_they_are_written():
    with pytest.raises(InputError, match=r"1000000000\.00 GB of weights shall wait on the disk.*free some space"):
        offloaded.new_folder(10**18)


# two devices


@pytest.fixture(scope="module")
def far():
    """What tests/models/far.py prints."""
    seed = os.environ.get("DRILLCORE_SEED") or "0"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.models.far", seed]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_tensors_of_two_devices_do_not_meet_without_being_moved(far):
    assert far["refusal"] == "aten.add.Tensor of tensors on ['far:0', 'far:1']"


@pytest.mark.parametrize("family", FAMILIES)
def test_two_devices_give_the_bytes_of_one_and_each_layer_stays_where_it_was_computed(far, family):
    found = far[family]
    assert found["weights"] == ["far:0", "far:1"]
    assert found["device"] == "far:0"
    assert found["far"].keys() == found["near"].keys() >= {"tokens plain", "pooled plain"}
    for name in found["near"].keys() - {"bits", "unembedding"}:
        (on_cpu, one), (spread_over, other) = found["near"][name], found["far"][name]
        assert one == other, name
        assert set(on_cpu) == {"cpu"}
        assert spread_over == ["far:0"] * (len(on_cpu) - 2) + ["far:1"] * 2  # the last two of three blocks
    for name in {"bits", "unembedding"} & found["near"].keys():
        assert found["near"][name] == found["far"][name]


# where weights go


def places_of_blocks(model, places):
    """The place of each block."""
    prefix = next(name for name in places if ".0" in name)[: -len("0")]
    return [places[f"{prefix}{number}"] for number in range(model.config.num_hidden_layers)]


def test_gpus_get_equal_shares_in_the_order_of_the_blocks():
    model = shapes("llama", num_hidden_layers=12)
    places = Spread("", {0: 10**9, 1: 10**9, 2: 10**9, "cpu": 10**9}, True).map_of(model, "tiny")
    found = places_of_blocks(model, places)
    assert found == sorted(found)
    assert set(found) == {0, 1, 2}
    sizes = sizes_of(model, places)
    block = sum(p.numel() * 4 for p in model.model.layers[0].parameters())
    assert sum(sizes.values()) == sum(p.numel() * 4 for p in model.parameters())
    assert max(sizes.values()) - min(sizes.values()) < 4 * block  # 12 blocks, the table and the head on three GPUs


def test_memory_of_the_host_and_the_disk_take_what_gpus_do_not_hold():
    model = shapes("rwkv7", num_hidden_layers=12)
    total = sum(p.numel() * 4 for p in model.parameters())
    found = places_of_blocks(model, Spread("", {0: total // 3, "cpu": total // 3}, True).map_of(model, "tiny"))
    assert found == sorted(found, key=[0, "cpu", "disk"].index)
    assert set(found) == {0, "cpu", "disk"}


def test_places_that_are_too_small_are_refused_with_both_sizes():
    model = shapes("llama", num_hidden_layers=12)
    with pytest.raises(InputError) as error:
        Spread("cuda:0=1KB,cuda:1=1KB", {0: 1000, 1: 1000}, False).map_of(model, "tiny")
    assert "model tiny has weights of 0.4 MB, and device 'cuda:0=1KB,cuda:1=1KB' has 0.0 MB" in str(error.value)
    assert "add a place, such as cpu or disk" in str(error.value)
    assert "\n" not in str(error.value)


HOLDERS = {
    "llama": {"LlamaModel", "ModuleList"},
    "gpt2": {"GPT2Model", "ModuleList"},
    "bert": {"BertModel", "BertEncoder", "ModuleList"},
    "albert": {"AlbertModel", "AlbertTransformer", "ModuleList"},
    "mamba": {"MambaModel", "ModuleList"},
    "rwkv6": {"Rwkv6Model", "ModuleList"},
    "rwkv7": {"Rwkv7Model", "ModuleList"},
}
"""the classes of modules in which a family's blocks are"""


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("family", HOLDERS)
def test_only_modules_that_hold_blocks_are_split(family, depth):
    """ALBERT does not say that its embeddings, of which it adds several, must lie together."""
    sizes = FAMILIES.get(family) or HEADS
    config = AutoConfig.for_model(family, **(sizes | {"n_layer" if family == "gpt2" else "num_hidden_layers": depth}))
    with torch.device("meta"):
        model = AutoModel.from_config(config)
    classes = {type(module).__name__ for module in model.modules()}
    assert classes - set(never_split(model)) == HOLDERS[family]


# what the user writes


def test_sizes_are_those_that_are_named_or_nine_tenths_of_what_is_free(monkeypatch):
    monkeypatch.setattr(spread, "device_named", torch.device)
    monkeypatch.setattr(spread, "free_bytes", lambda device: {"cuda:0": 100, "cuda:1": 200, "cpu": 1000}[str(device)])
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert named("auto") == Spread("auto", {0: 90, 1: 180, "cpu": 900}, True)
    assert list(named("cpu, cuda:1=1.5KB, cuda:0").memory.items()) == [(0, 90), (1, 1500), ("cpu", 900)]
    assert named("cuda:0,cuda:1") == Spread("cuda:0,cuda:1", {0: 90, 1: 180}, False)
    assert named("cuda:1=2GiB,disk") == Spread("cuda:1=2GiB,disk", {1: 2 * 2**30}, True)


def test_one_device_is_no_spread_and_auto_on_a_machine_without_a_gpu_is_its_memory(monkeypatch):
    assert named("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert list(named("auto").memory) == ["cpu"]


@pytest.mark.parametrize("text", ["tpu,cpu", "cpu,", ",", "cuda,cpu", "cpu=3", "disk=3GB,cpu", "cpu=-1GB", "cpu==1GB"])
def test_what_is_no_place_is_refused_with_what_is(text):
    with pytest.raises(InputError, match=r"device .* names .*expected cuda:0 and so on, cpu or disk; .*cuda:0=20GB"):
        named(text)


def test_a_place_twice_and_a_gpu_that_is_not_here_are_refused():
    with pytest.raises(InputError, match="device 'cpu,cpu=1GB' names a place twice"):
        named("cpu,cpu=1GB")
    with pytest.raises(InputError, match=r"device 'cuda:99' cannot be used here"):
        named("cuda:99,cpu")


@pytest.mark.parametrize("text", ["auto", "cuda:0,cpu"])
def test_without_accelerate_one_line_says_how_to_install_it(text, monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate.utils", None)
    said = r"accelerate.* is not installed: pip install -c constraints.txt -e '\.\[big\]'"
    with pytest.raises(InputError, match=said):
        named(text)
