"""BlinkDL's RWKV-6 checkpoints (`.pth`, `.safetensors`, one file or a folder of shards) as `Rwkv6ForCausalLM`."""

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from pipeline.catalog import reason
from pipeline.rwkv6 import Rwkv6Config, Rwkv6ForCausalLM

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")


def checkpoint_files(path):
    """The weight files of a checkpoint: the file itself, or those of a folder (safetensors before pickles), sorted.

    Raises FileNotFoundError when there are none.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    for suffixes in (SUFFIXES[:1], SUFFIXES[1:]):
        if files := sorted(f for f in path.glob("*") if f.suffix in suffixes):
            return files
    raise FileNotFoundError(f"no weights in {path}: expected one of *{', *'.join(SUFFIXES)}")


def read_tensors(path):
    """All tensors of a checkpoint by name, memory-mapped where the format allows. Pickles load with weights_only=True."""
    tensors = {}
    for file in checkpoint_files(path):
        try:
            part = load_file(file) if file.suffix == ".safetensors" else torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        except (SafetensorError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise ValueError(f"{file} cannot be read as weights ({reason(error)}): is it complete, and nothing but tensors?") from error
        if twice := tensors.keys() & part.keys():
            raise ValueError(f"{file} repeats tensors of another shard of the same folder, such as {min(twice)}: keep one copy")
        tensors |= part
    return tensors


def hf_name(name):
    """BlinkDL's name of a tensor -> the name in `Rwkv6ForCausalLM`."""
    if name == "head.weight":
        return name
    for old, new in (("emb.", "embeddings."), (".ln0.", ".pre_ln."), (".att.", ".attention."), (".ffn.", ".feed_forward.")):
        name = name.replace(old, new)
    return "rwkv." + name


def infer_config(path, tensors, **overrides):
    """The `Rwkv6Config` that the shapes of BlinkDL-named tensors imply. Raises ValueError when they are not RWKV-6."""
    needed = ("emb.weight", "blocks.0.att.time_maa_w1", "blocks.0.att.time_decay_w1", "blocks.0.att.time_faaaa", "blocks.0.ffn.key.weight")
    if missing := [name for name in needed if name not in tensors]:
        raise ValueError(f"{path} is not an RWKV-6 checkpoint: it has no {', '.join(missing)} (RWKV-4, 5 and 7 have other tensors; only 6 is read here)")
    check_tensors(path, dict.fromkeys(needed, "a matrix"), {name: "a matrix" if (t := tensors[name]).dim() == 2 else tuple(t.shape) for name in needed})
    vocabulary, hidden = tensors["emb.weight"].shape
    sizes = {
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "num_hidden_layers": 1 + max(int(name.split(".")[1]) for name in tensors if name.startswith("blocks.")),
        "head_size": tensors["blocks.0.att.time_faaaa"].shape[1],
        "intermediate_size": tensors["blocks.0.ffn.key.weight"].shape[0],
        "time_mix_extra_dim": tensors["blocks.0.att.time_maa_w1"].shape[1] // 5,
        "time_decay_extra_dim": tensors["blocks.0.att.time_decay_w1"].shape[1],
    }
    return Rwkv6Config(**(sizes | overrides))


def load_rwkv6(path, dtype=torch.float32, **overrides):
    """Load a BlinkDL checkpoint. `overrides` are `Rwkv6Config` fields that shapes do not tell, such as head_size_divisor.

    Raises ValueError that names every missing, extra or misshapen tensor.
    """
    tensors = read_tensors(path)
    config = infer_config(path, tensors, **overrides)
    with torch.device("meta"):
        model = Rwkv6ForCausalLM(config)
    wanted = {name: tuple(p.shape) for name, p in model.state_dict().items()}
    found = {hf_name(name): t for name, t in tensors.items()}
    check_tensors(path, wanted, {name: tuple(t.shape) for name, t in found.items()})
    model.load_state_dict({name: t.to(dtype) for name, t in found.items()}, assign=True)
    return model


def check_tensors(path, wanted, found):
    """Compare two {name: shape}; ValueError lists up to three of each kind of difference."""
    problems = [f"missing {name}" for name in sorted(wanted.keys() - found.keys())][:3]
    problems += [f"extra {name}" for name in sorted(found.keys() - wanted.keys())][:3]
    shared = sorted(wanted.keys() & found.keys())
    problems += [f"{name} is {found[name]}, expected {wanted[name]}" for name in shared if found[name] != wanted[name]][:3]
    if problems:
        raise ValueError(f"{path} does not fit the model: {'; '.join(problems)}. Is it the right architecture, and complete?")
