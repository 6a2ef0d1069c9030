"""Run a model once over all sentences and keep every hidden layer: the plan, the key (contract C6) and the streaming writer."""

import hashlib
import importlib.metadata
import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from pipeline import shards
from pipeline.files import replacing
from pipeline.layers import hidden_layers
from pipeline.params import at_least

CODE_VERSION = 1  # raise it when a change here, in layers.py or in rwkv6.py changes the bytes of a dump
RECORD_TOKENS = 4000  # a record batch is closed at about so many tokens


@dataclass(frozen=True)
class Dump:
    """Section `dump` of params.yaml."""

    dtype: str
    """type of the weights: float32 or bfloat16"""
    store: str
    """type of the stored states: float16, or float32 for models whose states pass 65,504"""
    batch_tokens: int
    """tokens of a forward pass; sentences of one exact length share one"""
    shard_mb: int
    """size of a shard, in 10^6 bytes"""
    gate_tokens: int
    """tokens of text on which bits per byte are measured; 0 skips it"""

    def __post_init__(self):
        at_least("dump", self, batch_tokens=1, shard_mb=1, gate_tokens=0)
        if self.store not in shards.STORES:
            raise ValueError(f"dump.store is {self.store!r}, expected one of {', '.join(shards.STORES)}")


def plan(lengths, batch_tokens, shard_tokens):
    """Which sentences share a forward pass, a record batch and a shard: a list of shards of record batches of forward passes,
    each pass an array of indices of sentences of one exact length, shortest first. It depends on the arguments alone.
    """
    order = np.lexsort((np.arange(len(lengths)), lengths))
    edges = np.flatnonzero(np.diff(lengths[order])) + 1
    passes = []
    for same in np.split(order, edges):
        size = max(1, batch_tokens // int(lengths[same[0]]))
        passes += [same[i : i + size] for i in range(0, len(same), size)]
    records = _fill(passes, min(RECORD_TOKENS, shard_tokens), lambda one: int(lengths[one].sum()))
    return _fill(records, shard_tokens, lambda record: sum(int(lengths[one].sum()) for one in record))


def _fill(items, budget, size):
    """Group items in order, closing a group before it would pass the budget."""
    groups, used = [], 0
    for item in items:
        if not groups or used + size(item) > budget:
            groups.append([])
            used = 0
        groups[-1].append(item)
        used += size(item)
    return groups


def key_of(fingerprint, tokens_info, ids, params: Dump):
    """Contract C6: (key, its parts). The key is the sha256 of everything that determines the bytes of a dump, library
    versions included; device and threads are not in it."""
    text = hashlib.sha256()
    for one in ids:
        text.update(np.int32(len(one)).tobytes() + one.astype(np.int32).tobytes())
    settings = {name: value for name, value in asdict(params).items() if name != "gate_tokens"}
    versions = {package: importlib.metadata.version(package) for package in ("torch", "transformers")}
    content = {"weights": fingerprint, "tokens": tokens_info, "ids": text.hexdigest(), "layers": "all"}
    parts = content | settings | {"code": CODE_VERSION, "versions": versions}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24], parts


def check_vocabulary(ids, vocabulary, name):
    """Raise ValueError for an id that the model has no embedding for."""
    low, top = min(int(one.min()) for one in ids), max(int(one.max()) for one in ids)
    if low < 0 or top >= vocabulary:
        raise ValueError(
            f"token id {low if low < 0 else top} is outside the vocabulary of {vocabulary} of model {name}: "
            "its `tokenizer` in catalog.yaml belongs to another model"
        )


def check_lengths(ids, model, name):
    """Raise ValueError for a sentence that is longer than the model's table of learned positions."""
    longest, limit = max(map(len, ids)), getattr(model.config.get_text_config(), "max_position_embeddings", None)
    learned = any(part.endswith(("wpe", "position_embeddings", "embed_positions")) for part, _ in model.named_modules())
    if learned and limit and longest > limit:
        raise ValueError(f"a sentence has {longest} tokens, but model {name} has {limit} positions: set tokenize.max_tokens to {limit} and truncate to true")


def narrow(states, store, layer):
    """A layer (B, T, D) -> (B T, D) in the stored type on the CPU. Raises OverflowError that names layer and value."""
    kept = states.reshape(-1, states.shape[-1]).to(getattr(torch, store))
    if not torch.isfinite(kept).all():
        finite = states[torch.isfinite(states)]
        if finite.numel() < states.numel():
            raise OverflowError(f"layer {layer} holds NaN or infinity before it is stored: the weights or dump.dtype are at fault")
        raise OverflowError(
            f"layer {layer} reaches {finite.abs().max().item():.6g}, above the {torch.finfo(kept.dtype).max:g} of {store}: set dump.store to float32"
        )
    return kept.cpu().numpy()


def states_of(model, ids, sentence_ids, record, schema, params, progress):
    """One record batch: run its forward passes and stack their layers."""
    layers = [[] for _ in schema.names[2:]]
    for one in record:
        batch = torch.as_tensor(np.stack([ids[i] for i in one]), dtype=torch.long, device=model.device)
        for layer, states in enumerate(hidden_layers(model, batch)):
            layers[layer].append(narrow(states, params.store, layer))
        progress.update(batch.numel())
    rows = np.concatenate([np.repeat(sentence_ids[one], len(ids[one[0]])) for one in record])
    positions = np.concatenate([np.tile(np.arange(len(ids[one[0]]), dtype=np.int32), len(one)) for one in record])
    return shards.record_batch(rows, positions, [np.concatenate(layer) for layer in layers], schema)


def dump(model, ids, sentence_ids, key, out, params: Dump, scratch=".drillcore/dumps"):
    """Write the states of all sentences as shards of C3 into the folder `out`; returns what the manifest says of them.

    Shards are built in a scratch folder named by the key, outside `out`, and then hard-linked into it: a run that was
    killed goes on with the shards it had finished, another key never sees them, and `out` changes only once all are there.
    """
    text_config = model.config.get_text_config()
    count, dim = text_config.num_hidden_layers + 1, text_config.hidden_size
    schema = shards.schema(range(count), dim, params.store)
    lengths = np.array([len(one) for one in ids])
    shard_tokens = max(1, params.shard_mb * 10**6 // (count * dim * np.dtype(shards.STORES[params.store]).itemsize))
    folder, out = Path(scratch) / key, Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    with tqdm(total=int(lengths.sum()), unit="tok", unit_scale=True, desc="dump", mininterval=1) as progress:
        for number, shard in enumerate(plan(lengths, params.batch_tokens, shard_tokens)):
            path = folder / f"shard-{number:05d}.arrow"
            held = np.concatenate([one for record in shard for one in record])
            if shards.is_whole(path, schema, sentence_ids[held]):
                progress.update(int(lengths[held].sum()))
            else:
                records = (states_of(model, ids, sentence_ids, record, schema, params, progress) for record in shard)
                shards.write_shard(path, records, schema)
            entries.append({"name": path.name, "sentences": len(held), "tokens": int(lengths[held].sum()), "bytes": path.stat().st_size})
    out.mkdir(parents=True, exist_ok=True)
    for stale in out.glob("*.arrow"):
        stale.unlink()
    for entry in entries:
        _link(folder / entry["name"], out / entry["name"])
    return {"layers": count, "dim": dim, "store": params.store, "sentences": len(ids), "tokens": int(lengths.sum()), "shards": entries}


def _link(source, target):
    """Hard link, or copy where the file system has none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def write_manifest(path, manifest):
    """Written last: a manifest that exists means that the dump is complete."""
    with replacing(path) as part:
        part.write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
