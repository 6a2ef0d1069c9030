"""Encoders with a network: the layers of a model, each reached by an early exit, and sentence encoders."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from transformers import PreTrainedModel

from pipeline.base import settings
from pipeline.base.errors import InputError
from pipeline.base.machine import device_named
from pipeline.baselines.encoders import located, opened, prompt_of
from pipeline.catalog import entries
from pipeline.catalog.entries import Baseline
from pipeline.cost.encoders import Encoder, Variant, halves, size_of
from pipeline.cost.settings import Efficiency
from pipeline.dump.settings import Dump, of_model
from pipeline.models import load, weights
from pipeline.models.checkpoints import checkpoint_files
from pipeline.models.layers import blocks, depth_of, layer_numbers
from pipeline.readouts.readout import Readout
from pipeline.readouts.registry import readout_of
from pipeline.text.encoding import Encoded, encode
from pipeline.text.settings import Tokenize
from pipeline.text.tokenizers import tokenizer_of


def layered(name: str, device: str) -> Encoder:
    """A model of the catalogue: the mean over the pooled tokens of a layer, after which nothing is computed, or its
    state.
    """
    entry = weights.drawn(entries.entry("models", name), name)
    limits, dump = settings.section(Tokenize), of_model(settings.section(Dump), entry, name)
    readout = readout_of(dump.keep, dump.readout)
    path = weights.locate(entry, name)
    model = load.load(entry, path, name, dump.dtype)
    readout.checked(model)
    model.to(device_named(device))  # type: ignore[arg-type]  # transformers wraps it without its annotation
    tokenizer = tokenizer_of(entry, name)

    def tokenize(texts: list[str]) -> Encoded:
        return encode(texts, tokenizer, limits, entry.bos, entry.template)

    def scores(tokens: Encoded, variant: Variant) -> np.ndarray:
        assert variant.layer is not None
        return halves(layer_vectors(model, tokens.ids, variant.layer, readout, tokens.spans))

    variants = [Variant(layer, parameters=parameters_up_to(model, layer)) for layer in exits(model, readout)]
    disk = 0 if path is None else size_of(checkpoint_files(path))
    kind, pooling = model.config.model_type, "state" if readout.shape else "mean"
    return Encoder(kind, pooling, variants, tokenize, scores, disk_bytes=disk, device=str(model.device))


def exits(model: PreTrainedModel, readout: Readout) -> list[int]:
    """The layers of params.yaml's efficiency.layers."""
    try:
        return layer_numbers(settings.section(Efficiency).layers, depth_of(model), readout.first)
    except InputError as error:
        raise InputError(str(error).replace("dump.layers", "efficiency.layers")) from error


def layer_vectors(
    model: PreTrainedModel, ids: Sequence[np.ndarray], layer: int, readout: Readout, spans: np.ndarray | None = None
) -> np.ndarray:
    """Token ids of S sentences, (T,) each -> the mean of what is read at a layer, or its state, (S, D) float32.

    spans (S, 2): the first token of each that counts, and the one after the last; None: all do. Sentences of one length
    and span share a pass, as in a dump. The copy to the host, at the end, waits for the device.
    """
    spans = np.array([[0, len(tokens)] for tokens in ids]) if spans is None else spans
    rows: dict[tuple[int, int, int], list[int]] = defaultdict(list)
    for row, (tokens, (start, stop)) in enumerate(zip(ids, spans.tolist())):
        rows[len(tokens), start, stop].append(row)
    vectors = []
    for (_, start, stop), same_shape in rows.items():
        batch = torch.from_numpy(np.stack([ids[row] for row in same_shape])).long().to(model.device)
        (states,) = readout.read(model, batch, [layer])
        vectors.append(states.float().flatten(1) if readout.shape else states[:, start:stop].float().mean(dim=1))
    order = np.argsort(np.concatenate(list(rows.values())))
    return torch.cat(vectors).cpu().numpy()[order]


def parameters_up_to(model: PreTrainedModel, layer: int) -> int:
    """Parameters without the blocks after a layer and without the head; those that several blocks share count once."""
    used = {id(p): p.numel() for p in model.base_model.parameters()}
    stack = blocks(model)
    early = {id(p) for block in stack[:layer] for p in block.parameters()}
    for late in (id(p) for block in stack[layer:] for p in block.parameters()):
        if late not in early:
            used.pop(late, None)
    return sum(used.values())


def sentence_encoder(entry: Baseline, name: str, device: str) -> Encoder:
    """An encoder of sentence-transformers, in the two steps that its `encode` takes for a batch."""
    folder = located(entry, f"baseline {name}")
    network = opened(entry, folder, f"baseline {name}")
    network.to(device_named(device))
    prompt = prompt_of(network, entry.prompt)

    def tokenize(texts: list[str]) -> dict[str, torch.Tensor]:
        return network.preprocess(texts, prompt=prompt)

    def scores(features: dict[str, torch.Tensor], variant: Variant) -> np.ndarray:
        there = {key: value.to(network.device) if isinstance(value, torch.Tensor) else value
                 for key, value in features.items()}  # fmt: skip
        with torch.inference_mode():
            return halves(network(there)["sentence_embedding"].float().cpu().numpy())

    files = sorted(folder.rglob("*.safetensors")) or sorted(folder.rglob("*.bin"))
    variants = [Variant(parameters=sum(p.numel() for p in network.parameters()))]
    return Encoder("encoder", "own", variants, tokenize, scores, disk_bytes=size_of(files), device=str(network.device))


def gpu_memory(device: str) -> dict[str, int | None]:
    """Bytes that torch has allocated and reserved on a GPU, at most; None on a CPU."""
    if not device.startswith("cuda"):
        return {"gpu_allocated_bytes": None, "gpu_reserved_bytes": None}
    return {
        "gpu_allocated_bytes": torch.cuda.max_memory_allocated(device),
        "gpu_reserved_bytes": torch.cuda.max_memory_reserved(device),
    }


def described(device: str) -> dict[str, object]:
    """The threads of torch, and the name of a GPU; None on a CPU."""
    gpu = torch.cuda.get_device_name(device) if device.startswith("cuda") else None
    return {"threads": torch.get_num_threads(), "gpu": gpu}
