"""BlinkDL's checkpoints (`.pth`, `.safetensors`, one file or a folder of shards) of every generation of RWKV.

    generation  told by                          what is special
    RWKV-4      time_mix without ln_x            a weighted mean for each channel
    RWKV-5      time_mix with ln_x and gate      5.1 has a decay for each head, 5.2 for each channel
    RWKV-6      time_maa                         decay and mixes depend on the token
    RWKV-7      r_k                              what the first block's values are, all later ones read

Names and shapes say which it is, and all sizes. A file of none of them, or of two, is refused in one line.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError

from pipeline.base.errors import InputError
from pipeline.models.checkpoints import check_fit, check_real, check_tensors, read_tensors
from pipeline.models.rwkv4 import Rwkv4ForCausalLM
from pipeline.models.rwkv5 import Rwkv5ForCausalLM
from pipeline.models.rwkv6 import Rwkv6ForCausalLM
from pipeline.models.rwkv7 import Rwkv7ForCausalLM
from pipeline.models.rwkv_model import RwkvForCausalLM

Tensors = Mapping[str, torch.Tensor]
Shapes = Mapping[str, tuple[int, ...]]
UNUSED = re.compile(r"blocks\.0\.att\.v[012]")
"""of RWKV-7: the first block has no earlier values to mix in, though published files hold the tensors"""


@dataclass(frozen=True)
class Generation:
    """How a generation's checkpoints are read."""

    network: type[RwkvForCausalLM]
    mark: str
    """a part of names that no other generation has"""
    tell_sizes: tuple[str, ...]
    """the matrices whose shapes give the config"""
    sizes: Callable[[Shapes], dict[str, int]]
    """their shapes -> fields of the config, without the three that all generations have"""
    ours: Callable[[Tensors], Iterator[tuple[str, torch.Tensor]]]
    """BlinkDL's tensors -> ours with their names"""


OF_ALL = ("emb.weight", "blocks.0.ffn.key.weight")
OUR_NAMES = {
    r"^(?!head\.)": "rwkv.",
    r"\bemb\.": "embeddings.",
    r"\.ln0\.": ".pre_ln.",
    r"\.att\.": ".attention.",
    r"\.ffn\.": ".feed_forward.",
    r"\.time_mix_k$": ".time_mix_key",
    r"\.time_mix_v$": ".time_mix_value",
    r"\.time_mix_r$": ".time_mix_receptance",
    r"\.time_mix_g$": ".time_mix_gate",
}
"""BlinkDL's names of tensors -> those of RWKV-4, 5 and 6, one substitution after the other"""
OUR_NAMES_7 = {
    r"^(?!head\.)": "model.",
    r"^head\.": "lm_head.",
    r"\bemb\.": "embeddings.",
    r"\bln_out\.": "norm.",
    r"\.blocks\.": ".layers.",
    r"\.ln0\.": ".pre_norm.",
    r"\.ln1\.": ".attn_norm.",
    r"\.ln2\.": ".ffn_norm.",
    r"\.att\.": ".attn.",
    r"\.attn\.receptance\.": ".attn.r_proj.",
    r"\.attn\.key\.": ".attn.k_proj.",
    r"\.attn\.value\.": ".attn.v_proj.",
    r"\.attn\.output\.": ".attn.o_proj.",
    r"\.attn\.ln_x\.": ".attn.g_norm.",
    r"\.attn\.([wavg])0$": r".attn.\1_lora.lora.2.bias",
    r"\.attn\.([wavg])1$": r".attn.\1_lora.lora.0.weight",
    r"\.attn\.([wavg])2$": r".attn.\1_lora.lora.2.weight",
}
"""the same of RWKV-7"""


def our_name(name: str, substitutions: Mapping[str, str] = OUR_NAMES) -> str:
    """BlinkDL's name of a tensor -> the name in our classes."""
    for old, new in substitutions.items():
        name = re.sub(old, new, name)
    return name


def _renamed(tensors: Tensors) -> Iterator[tuple[str, torch.Tensor]]:
    return ((our_name(name), tensor) for name, tensor in tensors.items())


def _of_eagle(tensors: Tensors) -> Iterator[tuple[str, torch.Tensor]]:
    """RWKV-5's tensors as those of 5.2. In 5.1 the channels of a head share a number; old files hold its log."""
    heads, width = len(tensors["blocks.0.att.time_decay"]), tensors["emb.weight"].shape[1]
    for name, tensor in tensors.items():
        if name.endswith(".att.time_first"):
            name, tensor = name.replace("time_first", "time_faaaa"), tensor.float().exp()
        if name.endswith((".att.time_decay", ".att.time_faaaa")) and tensor.numel() in (heads, width):
            tensor = tensor.reshape(heads, -1).expand(heads, width // heads).contiguous()
        yield our_name(name), tensor


def _of_goose(tensors: Tensors) -> Iterator[tuple[str, torch.Tensor]]:
    """RWKV-7's tensors: BlinkDL multiplies with low-rank maps from the right, and has vectors as (1, 1, D)."""
    for name, tensor in tensors.items():
        if re.search(r"\.att\.[wavg][12]$", name) and tensor.dim() == 2:
            tensor = tensor.T.contiguous()
        elif re.search(r"\.att\.([wav]0|k_k|k_a)$|\.ffn\.x_k$", name):
            tensor = tensor.flatten()
        if not UNUSED.fullmatch(name):
            yield our_name(name, OUR_NAMES_7), tensor


def _sizes_of_4(shapes: Shapes) -> dict[str, int]:
    return {"attention_hidden_size": shapes["blocks.0.att.key.weight"][0]}


def _sizes_of_5(shapes: Shapes) -> dict[str, int]:
    return {"head_size": shapes["emb.weight"][1] // shapes["blocks.0.att.time_decay"][0]}


def _sizes_of_6(shapes: Shapes) -> dict[str, int]:
    return {
        "head_size": shapes["blocks.0.att.time_faaaa"][1],
        "time_mix_extra_dim": shapes["blocks.0.att.time_maa_w1"][1] // 5,
        "time_decay_extra_dim": shapes["blocks.0.att.time_decay_w1"][1],
    }


def _sizes_of_7(shapes: Shapes) -> dict[str, int]:
    of_first = {"head_dim": "r_k", "decay_low_rank_dim": "w1", "a_low_rank_dim": "a1", "gate_low_rank_dim": "g1"}
    sizes = {field: shapes[f"blocks.0.att.{name}"][1] for field, name in of_first.items()}
    of_values = shapes.get("blocks.1.att.v1", ())  # a model of one block has none
    return sizes | ({"v_low_rank_dim": of_values[1]} if len(of_values) == 2 else {})


def _matrices(*names: str) -> tuple[str, ...]:
    return (*OF_ALL, *(f"blocks.0.att.{name}" for name in names))


GENERATIONS = {
    "RWKV-4": Generation(Rwkv4ForCausalLM, ".att.time_mix_", _matrices("key.weight"), _sizes_of_4, _renamed),
    "RWKV-5": Generation(Rwkv5ForCausalLM, ".att.time_mix_", _matrices("gate.weight"), _sizes_of_5, _of_eagle),
    "RWKV-6": Generation(
        Rwkv6ForCausalLM,
        ".att.time_maa_",
        _matrices("time_maa_w1", "time_decay_w1", "time_faaaa"),
        _sizes_of_6,
        _renamed,
    ),
    "RWKV-7": Generation(Rwkv7ForCausalLM, ".att.r_k", _matrices("r_k", "w1", "a1", "g1"), _sizes_of_7, _of_goose),
}


def generation_of(path: Path, names: Mapping[str, Any]) -> str:
    """The key in GENERATIONS of a checkpoint, by the names of its tensors. InputError for none, two, and RWKV-5.0."""
    marked = {
        name: next((tensor for tensor in names if generation.mark in tensor), None)
        for name, generation in GENERATIONS.items()
    }
    found = {name: tensor for name, tensor in marked.items() if tensor is not None}
    has_norm = any(".att.ln_x." in tensor for tensor in names)
    found.pop("RWKV-4" if has_norm else "RWKV-5", None)
    if not found:
        marks = ", ".join(f"{name}: {generation.mark[1:]}" for name, generation in GENERATIONS.items())
        raise InputError(f"{path} is no RWKV checkpoint: it has no tensor of any generation ({marks})")
    if len(found) > 1:
        both = " and ".join(f"{name} ({tensor})" for name, tensor in found.items())
        raise InputError(f"{path} holds tensors of {both}: give a checkpoint of one generation")
    (name,) = found
    if name == "RWKV-5" and not any(".att.gate." in tensor for tensor in names):
        raise InputError(
            f"{path} is RWKV-5.0, which has no att.gate: of this generation only 5.1 and 5.2 are read here"
        )
    return name


def infer_config(path: Path, name: str, tensors: Tensors, overrides: Mapping[str, Any]) -> Any:
    """The config of a generation that the shapes of its tensors imply. InputError for shapes that imply none."""
    generation = GENERATIONS[name]
    config_class: Any = generation.network.config_class
    needed = generation.tell_sizes if name != "RWKV-5" else (*generation.tell_sizes, "blocks.0.att.time_decay")
    if missing := [tensor for tensor in needed if tensor not in tensors]:
        raise InputError(f"{path} is not all of an {name} checkpoint: it has no {', '.join(missing)}")
    shapes = {tensor: tuple(tensors[tensor].shape) for tensor in tensors}
    flat = [tensor for tensor in generation.tell_sizes if len(shapes[tensor]) != 2 or 0 in shapes[tensor]]
    check_fit(path, [f"{tensor} is {shapes[tensor]}, expected a matrix" for tensor in flat])
    empty = [tensor for tensor in needed if not all(shapes[tensor]) or not shapes[tensor]]
    check_fit(path, [f"{tensor} is {shapes[tensor]}, expected numbers" for tensor in empty])
    blocks = [int(match[1]) for tensor in tensors if (match := re.match(r"blocks\.(\d+)\.", tensor))]
    sizes = {
        "vocab_size": shapes["emb.weight"][0],
        "hidden_size": shapes["emb.weight"][1],
        "num_hidden_layers": 1 + max(blocks),
        "intermediate_size": shapes["blocks.0.ffn.key.weight"][0],
    }
    try:
        return config_class(**(sizes | generation.sizes(shapes) | dict(overrides)))
    except (TypeError, StrictDataclassError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} cannot be loaded with {dict(overrides)}: {reason}. Mend `config`") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def config_of(path: Path, overrides: Mapping[str, Any]) -> Any:
    """The config of a BlinkDL checkpoint of any generation. InputError where its tensors imply none."""
    tensors = read_tensors(path)
    return infer_config(path, generation_of(path, tensors), tensors, overrides)


def load_rwkv(path: str | Path, dtype: torch.dtype = torch.float32, **overrides: Any) -> RwkvForCausalLM:
    """Load a BlinkDL checkpoint of any generation.

    `overrides` are fields of the config that shapes do not tell, such as RWKV-6's head_size_divisor. Raises InputError
    that names missing, extra and misshapen tensors.
    """
    path = Path(path)
    tensors = read_tensors(path)
    name = generation_of(path, tensors)
    config = infer_config(path, name, tensors, overrides)
    with torch.device("meta"):
        model = GENERATIONS[name].network(config)
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    check_real(path, {name: str(tensor.dtype) for name, tensor in tensors.items()})
    ours = dict(GENERATIONS[name].ours(tensors))
    check_tensors(path, wanted, {name: tuple(tensor.shape) for name, tensor in ours.items()})
    model.load_state_dict({name: tensor.to(dtype) for name, tensor in ours.items()}, assign=True)
    return model
