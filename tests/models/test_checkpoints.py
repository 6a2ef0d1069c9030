"""BlinkDL's checkpoints in every layout, and what is said of those that cannot be used."""

import pickle
import random
import re

import pytest
import torch
from safetensors.torch import save_file

from pipeline.base.errors import InputError
from pipeline.models.generations import load_rwkv, our_name

VALUE, DECAY, SURPLUS = "blocks.1.ffn.value.weight", "blocks.1.att.time_decay", "blocks.1.att.surplus"


@pytest.fixture
def tensors(finch, blinkdl):
    return blinkdl(finch)


@pytest.mark.parametrize("layout", ["file.pth", "file.safetensors", "shards.pth", "shards.safetensors"])
def test_every_layout_loads_the_same_weights(finch, tensors, tmp_path, layout):
    kind, suffix = layout.split(".")
    save = save_file if suffix == "safetensors" else torch.save
    if kind == "file":
        path = tmp_path / f"model.{suffix}"
        save(tensors, path)
    else:
        path, names = tmp_path, sorted(tensors)
        for i in range(3):
            save({name: tensors[name] for name in names[i::3]}, tmp_path / f"part-{i}.{suffix}")
    loaded = load_rwkv(path)
    assert loaded.config.head_size == 16
    assert all(torch.equal(loaded.state_dict()[name], tensor) for name, tensor in finch.state_dict().items())
    assert {our_name(name) for name in tensors} == set(finch.state_dict())


def test_fields_that_shapes_do_not_tell_can_be_set(tensors, tmp_path):
    save_file(tensors, tmp_path / "m.safetensors")
    assert load_rwkv(tmp_path / "m.safetensors").rwkv.blocks[1].attention.ln_x.eps == pytest.approx(64e-5)
    changed = load_rwkv(tmp_path / "m.safetensors", head_size_divisor=1)
    assert changed.rwkv.blocks[1].attention.ln_x.eps == pytest.approx(1e-5)


def test_weights_are_cast_to_the_type_that_is_asked_for(tensors, tmp_path):
    save_file(tensors, tmp_path / "m.safetensors")
    loaded = load_rwkv(tmp_path / "m.safetensors", torch.bfloat16)
    assert {p.dtype for p in loaded.parameters()} == {torch.bfloat16}
    assert torch.equal(loaded.head.weight, tensors["head.weight"].to(torch.bfloat16))


def without(tensors, name):
    return {other: tensor for other, tensor in tensors.items() if other != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: without(t, DECAY), r"missing rwkv\.blocks\.1\.attention\.time_decay[^_]"),
        (lambda t: t | {SURPLUS: torch.zeros(3)}, r"extra rwkv\.blocks\.1\.attention\.surplus"),
        (lambda t: t | {"blocks.x.att": torch.zeros(3)}, r"extra rwkv\.blocks\.x\.att"),
        (
            lambda t: t | {VALUE: t[VALUE].T.contiguous()},
            r"rwkv\.blocks\.1\.feed_forward\.value\.weight is \(224, 64\), expected \(64, 224\)",
        ),
    ],
    ids=["missing", "extra", "no block", "misshapen"],
)
def test_a_checkpoint_that_does_not_fit_is_refused_with_the_tensor(tensors, tmp_path, change, message):
    path = tmp_path / "tiny.safetensors"
    save_file(change(tensors), path)
    with pytest.raises(InputError, match=rf"{path} does not fit the model: {message}.* architecture, and complete\?"):
        load_rwkv(path)


@pytest.mark.parametrize("name", ["blocks.0.att.time_faaaa", "blocks.0.att.time_maa_w1", "emb.weight"])
def test_a_misshapen_tensor_that_tells_the_sizes_is_named(tensors, tmp_path, name):
    path = tmp_path / "tiny.safetensors"
    save_file(tensors | {name: tensors[name].flatten()}, path)
    problem = f"{name} is {tuple(tensors[name].flatten().shape)}, expected a matrix"
    with pytest.raises(InputError, match=rf"{path} does not fit the model: {re.escape(problem)}"):
        load_rwkv(path)


def test_an_rwkv6_without_what_tells_its_sizes_is_refused_by_what_it_lacks(tensors, tmp_path):
    path = tmp_path / "rwkv6.safetensors"
    save_file({n: tensor for n, tensor in tensors.items() if "time_maa_w1" not in n and "decay_w1" not in n}, path)
    lacks = r"no blocks\.0\.att\.time_maa_w1, blocks\.0\.att\.time_decay_w1"
    with pytest.raises(InputError, match=rf"{path} is not all of an RWKV-6 checkpoint: it has {lacks}"):
        load_rwkv(path)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"head_size": "sixteen"}, r"m\.safetensors cannot be loaded with .*head_size.*sixteen.* Mend `config`"),
        ({"head_size": 7}, r"hidden_size 64 is not a multiple of head_size 7"),
    ],
)
def test_fields_that_cannot_be_are_refused(tensors, tmp_path, overrides, message):
    save_file(tensors, tmp_path / "m.safetensors")
    with pytest.raises(InputError, match=message):
        load_rwkv(tmp_path / "m.safetensors", **overrides)


def test_an_empty_matrix_is_refused(tensors, tmp_path):
    """A flipped bit can leave a side of 0; dividing by it is no message."""
    name = "blocks.0.att.time_faaaa"
    save_file(tensors | {name: torch.zeros(len(tensors[name]), 0)}, tmp_path / "m.safetensors")
    with pytest.raises(InputError, match=rf"m\.safetensors.*{re.escape(name)} is \(\d+, 0\), expected a matrix"):
        load_rwkv(tmp_path / "m.safetensors")


@pytest.mark.parametrize("ending", [".safetensors", ".pth"])
@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_a_checkpoint_that_was_cut_short_is_refused_with_its_name(tensors, tmp_path, ending, share):
    path = tmp_path / f"cut{ending}"
    save_file(tensors, path) if ending == ".safetensors" else torch.save(tensors, path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match=rf"{path}.*complete"):
        load_rwkv(path)


def test_a_pickle_with_bytes_changed_is_refused_by_name_or_read(tensors, tmp_path, seed):
    """Where torch finds nothing wrong, tensors are read; whatever else it raises becomes one line."""
    path = tmp_path / "m.pth"
    torch.save(tensors, path)
    data, draw, messages = path.read_bytes(), random.Random(seed), []
    for _ in range(60):
        changed = bytearray(data)
        changed[draw.randrange(64, 4000)] ^= 1 << draw.randrange(8)  # in the pickle, which comes first
        path.write_bytes(changed)
        try:
            load_rwkv(path)
        except InputError as error:
            messages.append(str(error))
    assert len(messages) > 20
    assert all(str(path) in message for message in messages)


@pytest.mark.parametrize("value", [torch.zeros(3), {"state": {"emb.weight": torch.zeros(3)}}, [torch.zeros(3)], 5])
def test_a_pickle_of_something_else_is_refused(tmp_path, value):
    torch.save(value, tmp_path / "m.pth")
    with pytest.raises(InputError, match=r"m\.pth is not a mapping of names to tensors"):
        load_rwkv(tmp_path / "m.pth")


class Evil:
    """Unpickled without care, it creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("save", [lambda value, path: path.write_bytes(pickle.dumps(value, protocol=2)), torch.save])
def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path, save):
    path = tmp_path / "evil.pth"
    save({"emb.weight": Evil(str(tmp_path / "ran"))}, path)
    with pytest.raises(InputError, match=rf"{path}"):
        load_rwkv(path)
    assert not (tmp_path / "ran").exists()


def test_a_folder_without_weights_is_named_with_what_was_expected(tmp_path):
    with pytest.raises(InputError, match=rf"no weights in {tmp_path}: expected one of \*\.safetensors, \*\.pth"):
        load_rwkv(tmp_path)


def test_shards_that_repeat_a_tensor_are_refused(tensors, tmp_path):
    for name in ("a", "b"):
        save_file({"emb.weight": tensors["emb.weight"]}, tmp_path / f"{name}.safetensors")
    with pytest.raises(InputError, match=r"b\.safetensors repeats .* such as emb\.weight: keep one copy"):
        load_rwkv(tmp_path)
