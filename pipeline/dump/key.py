"""Contract C6: a key that changes with everything that changes the bytes of a dump, and with nothing else."""

import hashlib
import importlib.metadata
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.base.code import ROOT, fingerprints
from pipeline.dump.settings import Dump
from pipeline.formats.tokens import Tokens
from pipeline.models.layers import layer_numbers
from pipeline.readouts.registry import readout_of

CODE = ("pipeline.dump.make", "pipeline.models.load")
"""they, the module of the readout, and all that they import, decide the bytes; other readouts, gate, checks, key and
what fetches and lists files do not
"""
PACKAGES = ("torch", "transformers", "pyarrow")
"""libraries whose versions decide the bytes"""


def key_of(
    weights: dict[str, Any], tokens: Tokens, settings: Dump, depth: int, kernel: str | None = None, root: Path = ROOT
) -> tuple[str, dict[str, Any]]:
    """The key of a dump, and its parts, for the manifest.

    weights: `weights.fingerprint`; settings: with the readout of the model; depth: blocks of the model; kernel: the
    fused kernel, where one is used; root: the folder of our code. Device and threads are not in it.
    """
    readout = readout_of(settings.keep, settings.readout)
    kept_settings = asdict(settings) | {"layers": layer_numbers(settings.layers, depth, readout.first)}
    del kept_settings["gate_tokens"]
    parts = {
        "weights": weights,
        "tokens": tokens.fingerprint,
        "ids": digest_of_ids(tokens),
        "code": fingerprints(*CODE, readout.module, root=root),
        "versions": {package: importlib.metadata.version(package) for package in PACKAGES},
        "kernel": kernel,
        **kept_settings,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24], parts


def digest_of_ids(tokens: Tokens) -> str:
    """sha256 of the token ids, of where each sentence begins, what of it is kept, and of the sentences' order."""
    parts = {
        "sentence_ids": (tokens.sentence_ids, np.int64),
        "offsets": (tokens.ids.offsets, np.int64),
        "ids": (tokens.ids.values, np.int32),
        "spans": (tokens.spans, np.int32),
    }
    digest = hashlib.sha256()
    for array, kind in parts.values():  # their lengths follow from that of the first and the end of the second
        digest.update(np.ascontiguousarray(array, dtype=kind).data)
    return digest.hexdigest()
