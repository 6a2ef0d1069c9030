"""What a dump is: `data/manifests/MODEL.json`, written last, so that its existence means that all shards are there.

It lies outside the folder of the shards, since a JSON among them breaks tools that read a folder.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.base.files import write_json
from pipeline.formats.damage import foreign, read_json

MANIFEST: dict[str, tuple[type | tuple[type, ...], str]] = {
    "model": (str, "its name in catalog.yaml"),
    "key": (str, "sha256 of everything that determines the bytes (contract C6), shortened"),
    "parts": (dict, "that everything: weights, token ids, settings, code, versions"),
    "sources": (dict, "hub, revision and commit of the weights and of the tokenizer; null where not of the hub"),
    "gate": ((dict, type(None)), "bits per byte, and whether the model reads the text; null where it was not measured"),
    "truncated": (int, "sentences cut at tokenize.max_tokens"),
    "readout": (str, "what was read of the network, such as plain, its hidden layers"),
    "layers": (list, "numbers of the layers that were kept"),
    "dim": (int, "width of a vector of the readout; of plain the hidden size, of a state H N M"),
    "keep": (str, "tokens, pooled or state"),
    "store": (str, "float16 or float32"),
    "sentences": (int, "distinct sentences"),
    "tokens": (int, "tokens of all sentences that are kept, without those of a template"),
    "shards": (list, "of each shard: name, record batches, sentences, tokens, bytes, sha256"),
}


def write(path: str | Path, manifest: dict[str, Any]) -> None:
    """The keys of MANIFEST as JSON."""
    write_json(path, manifest)


def read(path: str | Path, model: str) -> dict[str, Any]:
    """The manifest of a model's dump."""
    stage = f"dump@{model}"
    values = read_json(path, {key: kind for key, (kind, _) in MANIFEST.items()}, stage)
    if values["model"] != model:
        raise foreign(path, f"is the manifest of {values['model']}", stage)
    return values


def seed_groups(manifests: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Models with random weights that differ in nothing that decides their states but the seed.

    {model: its manifest} -> {model: those of its kind, itself among them} for all that are at least two.
    """
    kinds: dict[str, list[str]] = {}
    for model, found in manifests.items():
        weights = found["parts"]["weights"]
        if "random" in weights:
            rest = found["parts"] | {"weights": {key: value for key, value in weights.items() if key != "random"}}
            kinds.setdefault(json.dumps(rest, sort_keys=True), []).append(model)
    return {model: models for models in kinds.values() if len(models) > 1 for model in models}
