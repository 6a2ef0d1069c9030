"""Two devices that this machine does not have, far:0 and far:1.

A tensor there is one of the CPU that says it lies elsewhere. What is computed of it is computed on the CPU, and refused
where tensors of two devices meet, as GPUs refuse it. This program prints, for each family, what a network gives whose
blocks lie half on one and half on the other, beside what it gives on the CPU. It is a process of its own, because a
kind of device, once registered, stays.
"""

import hashlib
import json
import sys

import numpy as np
import torch
from accelerate import dispatch_model
from torch.overrides import TorchFunctionMode
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

import pipeline.models.generations  # noqa: F401  (registers the generations with the Auto classes)
from pipeline.base.errors import InputError
from pipeline.dump import gate
from pipeline.dump.host import Host
from pipeline.dump.keep import KEEPS
from pipeline.dump.passes import Budget, Passes
from pipeline.models.devices import device_of
from pipeline.models.layers import blocks
from pipeline.models.spread import never_split
from pipeline.models.unembedding import unembedding_of
from pipeline.readouts.registry import readout_of
from tests.models.small import ENCODERS, FAMILIES

READOUTS = ("plain", "token_prepending_1", "values", "attention_output", "state_echo")
COMPOSITE, copy_ = "CompositeImplicitAutograd", torch.ops.aten.copy_.default


class Module(backend_registration._DummyBackendModule):
    def device_count(self):
        return 2


class Far(torch.Tensor):
    @staticmethod
    def __new__(cls, near, device=None, requires_grad=False):
        if isinstance(near, Far):
            return near
        sizes = {"strides": near.stride(), "storage_offset": near.storage_offset(), "dtype": near.dtype}
        made = torch.Tensor._make_wrapper_subclass(cls, near.shape, device=device, **sizes)
        made.near = near
        return made

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        with DEVICES:
            return func(*args, **(kwargs or {}))


def near(value):
    return value.near if isinstance(value, Far) else value


class Devices(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func.namespace == "aten" and torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), COMPOSITE):
            with self:
                return func.decompose(*args, **kwargs)
        tensors = [value for value in tree_leaves((args, kwargs)) if isinstance(value, torch.Tensor)]
        places = {tensor.device for tensor in tensors if tensor.device.type == "far" or tensor.ndim}
        if len(places) > 1 and func is not copy_:
            raise RuntimeError(f"{func} of tensors on {sorted(map(str, places))}")
        far = next((place for place in places if place.type == "far"), torch.device("cpu"))
        place = args[0].device if func is copy_ else torch.device(kwargs.get("device") or far)
        if kwargs.get("device") is not None and place.type == "far":
            kwargs = kwargs | {"device": torch.device("cpu")}
        out = func(*tree_map(near, args), **tree_map(near, kwargs))
        if place.type != "far":
            return out
        same = {id(near(tensor)): tensor for tensor in tensors}  # of functions that change their input
        return tree_map(lambda x: same.get(id(x), Far(x, place)) if isinstance(x, torch.Tensor) else x, out)


class Constants(TorchFunctionMode):
    """torch.tensor is made where it shall lie before any of the above sees it."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func is not torch.tensor:
            return func(*args, **kwargs)
        return func(*args, **(kwargs | {"device": "cpu"})).to(kwargs.get("device") or "cpu")


DEVICES = Devices()


def halves(model):
    """{name of a module: device}: the first blocks and what comes before them on far:0, the rest on far:1."""
    stack, whole = blocks(model), never_split(model)
    places, number = {}, 0
    for name, module in model.named_modules():
        if type(module).__name__ in whole and not any(f"{name}.".startswith(f"{other}.") for other in places):
            if module in stack:
                number = stack.index(module) + 1
            places[name] = f"far:{int(number > len(stack) // 2)}"
    if model.config.tie_word_embeddings:  # one tensor lies in one place, and so accelerate arranges it
        places |= {name: "far:0" for name in places if name in ("lm_head", "head")}
    return places


def read(model, ids):
    """{what is read: [devices of the layers, digest of all columns]}, and two figures of the head."""
    record, found = [np.array([0, 2, 3]), np.array([1])], {}
    for keep, name in [*(("tokens", name) for name in READOUTS), ("pooled", "plain"), ("state", "plain")]:
        readout, kept = readout_of(keep, name), KEEPS[keep]
        try:
            readout.checked(model)
        except InputError:
            continue  # the family does not have it
        layers = readout.layers(model)
        host = Host(kept.schema(layers, readout.shape_of(model), "float16"), 43, device_of(model))
        passes = Passes(model, readout, ids, layers, kept, "float16", host, Budget(6))
        columns, ready = passes.run(record, lambda tokens: None)
        ready()
        batch = torch.as_tensor(np.stack([ids[0], ids[2]])).to(device_of(model))
        devices = [str(layer.device) for layer in readout.read(model, batch)]
        found[f"{keep} {name}"] = [devices, hashlib.sha256(b"".join(c.tobytes() for c in columns)).hexdigest()]
    if model.get_output_embeddings() is not None:
        found["bits"] = gate.bits_per_byte(model, ids[:2], 20)
        found["unembedding"] = [np.asarray(part).tolist() for part in vars(unembedding_of(model)).values()]
    return found


def measured(family, rng):
    """What is read of one network on the CPU, and spread over two devices; and where its weights lie then."""
    auto = AutoModel if family in ENCODERS else AutoModelForCausalLM
    config = AutoConfig.for_model(family, use_cache=False, **FAMILIES[family])
    model = auto.from_config(config, attn_implementation="eager").eval().requires_grad_(False)
    ids = [rng.integers(0, 97, length) for length in (3, 34, 3, 3)]
    with torch.inference_mode(), Constants(), DEVICES:  # functions of several others are taken apart here
        near = read(model, ids)
        dispatch_model(model, halves(model), main_device="far:0", skip_keys=model._skip_keys_device_placement)
        weights = sorted({str(p.device) for p in model.parameters()})
        return {"near": near, "far": read(model, ids), "device": str(device_of(model)), "weights": weights}


def refusal():
    """What two tensors on two devices say when they meet."""
    with DEVICES:
        try:
            return str(torch.ones(2).to("far:0") + torch.ones(2).to("far:1"))
        except RuntimeError as error:
            return str(error)


if __name__ == "__main__":
    backend_registration._setup_privateuseone_for_python_backend("far", Module())
    torch.manual_seed(int(sys.argv[1]))
    drawn = np.random.default_rng(int(sys.argv[1]))
    print(json.dumps({"refusal": refusal()} | {family: measured(family, drawn) for family in FAMILIES}))
