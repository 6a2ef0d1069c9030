"""A catalogue entry -> a transformers model in evaluation mode, and the fingerprint of its weights. No remote code, ever."""

import importlib.metadata
import pickle

import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

from pipeline.catalog import Model, digest, local, one_source, reason, snapshot
from pipeline.checkpoints import check_tensors, checkpoint_files, load_rwkv6
from pipeline.rwkv6 import fused_kernel

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def locate(entry: Model, name):
    """The file or folder of a model's weights, downloaded first if the entry names the hub; None for random weights."""
    what = f"model {name}"
    source = one_source(what, {"hub": entry.hub, "path": entry.path, "random": entry.random})
    if source == "path":
        return local(entry.path, what)
    if source == "hub":
        folder = snapshot(entry.hub, entry.revision, ["*.json", "*.txt", "*.model", "*.safetensors"], what)
        if not list(folder.glob("*.safetensors")):
            folder = snapshot(entry.hub, entry.revision, ["*.json", "*.txt", "*.model", "*.bin"], what)
        return folder
    return None


def fingerprint(entry: Model, path):
    """What determines the weights (contract C6): sha256 of the files, or the seed; and the fields of the config that are set."""
    if path is None:
        return {"random": entry.random, "config": entry.config}
    files = checkpoint_files(path)
    if path.is_dir() and (path / "config.json").exists():
        files = [*files, path / "config.json"]
    return {"sha256": digest(files), "config": entry.config}


def load(entry: Model, path, name, dtype="float32"):
    """The model on the CPU, in evaluation mode. Raises ValueError for missing, extra or misshapen tensors."""
    if dtype not in DTYPES:
        raise ValueError(f"dump.dtype is {dtype!r}, expected one of {', '.join(DTYPES)}")
    if path is None:
        model = random_model(entry, name, DTYPES[dtype])
    elif path.is_dir() and (path / "config.json").exists():
        model = from_folder(path, DTYPES[dtype], entry.config)
    else:
        model = load_rwkv6(path, DTYPES[dtype], **entry.config)
    return model.eval().requires_grad_(False)


def kernel_of(model):
    """Name and version of the fused kernel that the model will use on its device, None where it uses none."""
    if (
        model.config.model_type != "rwkv6"
        or model.device.type != "cuda"
        or model.dtype not in (torch.bfloat16, torch.float16)
        or not fused_kernel(model.device)
    ):
        return None
    return f"flash-linear-attention {importlib.metadata.version('flash-linear-attention')}"


def random_model(entry, name, dtype):
    """Weights drawn on the CPU from the entry's seed: an untrained control of any family that transformers knows."""
    config = dict(entry.config)
    if "model_type" not in config:
        raise ValueError(f"model {name} is random but has no config.model_type: give it, such as rwkv6, and the sizes in catalog.yaml")
    with torch.random.fork_rng():
        torch.manual_seed(entry.random)
        config = AutoConfig.for_model(config.pop("model_type"), **config)
        causal = type(config) in transformers.MODEL_FOR_CAUSAL_LM_MAPPING
        return (AutoModelForCausalLM if causal else AutoModel).from_config(config).to(dtype)


def from_folder(folder, dtype, overrides):
    """A folder in the hub's layout, with its language-model head when it was saved with one."""
    checkpoint_files(folder)
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, **overrides)
    except (ValueError, OSError) as error:
        raise ValueError(f"no model can be loaded from {folder} without remote code: transformers does not know its family ({reason(error)})") from error
    if hasattr(config, "rescale_every"):
        config.rescale_every = 0  # RWKV-4 would halve its residual stream every few blocks
    config.use_cache = False
    architecture = (getattr(config, "architectures", None) or [""])[0]
    auto = AutoModelForCausalLM if architecture.endswith(("ForCausalLM", "LMHeadModel")) else AutoModel
    # transformers only warns of tensors that do not fit; what it reports is turned into an error here
    try:
        model, loaded = auto.from_pretrained(
            folder, config=config, dtype=dtype, trust_remote_code=False, output_loading_info=True, ignore_mismatched_sizes=True, weights_only=True
        )
    except (SafetensorError, RuntimeError, EOFError, pickle.UnpicklingError, OSError) as error:
        raise ValueError(f"the weights in {folder} cannot be read ({reason(error)}): are they complete, and nothing but tensors?") from error
    mismatched = {name: (tuple(found), tuple(wanted)) for name, found, wanted in loaded["mismatched_keys"]}
    wanted = dict.fromkeys(loaded["missing_keys"], ()) | {name: sizes[1] for name, sizes in mismatched.items()}
    found = dict.fromkeys(loaded["unexpected_keys"], ()) | {name: sizes[0] for name, sizes in mismatched.items()}
    if auto is AutoModel:  # a head that the base model does not use, or a pooler that the checkpoint lacks, is no harm
        found = {name: size for name, size in found.items() if name in mismatched or name.startswith(model.base_model_prefix + ".")}
        wanted = {name: size for name, size in wanted.items() if name in mismatched or not name.startswith("pooler.")}
    check_tensors(folder, wanted, found)
    return model
