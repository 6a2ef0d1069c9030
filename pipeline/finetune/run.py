"""One model, from its entry in the catalogue to the folder of what it learned."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import polars as pl
import torch

from pipeline.base import code
from pipeline.base.files import write_json, write_text
from pipeline.catalog.entries import Model
from pipeline.finetune import checkpoint, learning, method, train
from pipeline.finetune.card import card
from pipeline.finetune.pairs import train_pairs
from pipeline.finetune.settings import Finetune
from pipeline.formats import finetunes
from pipeline.models import load, weights
from pipeline.text.encoding import encode
from pipeline.text.settings import Tokenize
from pipeline.text.tokenizers import tokenizer_of

CODE = ("pipeline.finetune.train", "pipeline.models.load")
"""they, and all that they import, decide what is learned from given pairs and token ids"""
STORE = Path(".drillcore/finetunes")
"""checkpoints, a folder for each key; removing it loses nothing but time"""


@dataclass(frozen=True)
class Task:
    """What a model is to learn, and from what."""

    model: str
    """its name in catalog.yaml"""
    entry: Model
    """with `finetune`"""
    dataset: str
    """of the study"""
    pairs: pl.DataFrame
    """of the study (C2), which are learned from where finetune.dataset names no other data set"""
    sentences: pl.DataFrame
    settings: Finetune
    limits: Tokenize


def finetune(task: Task, device: torch.device, out: Path, log: Callable[[str], None]) -> None:
    """Train a model and write the folder `out`.

    A run with the same key goes on where an earlier one stopped, or ends at once if that was finished.
    """
    name, entry, section = task.model, task.entry, task.settings
    learned_from = train_pairs(task.pairs, task.sentences, section.dataset)
    base = weights.drawn(replace(entry, adapter=None), name)
    path = weights.locate(base, name)
    network = load.load(base, path, name, "float32")
    tokenizer = tokenizer_of(base, name)
    encoded = encode(learned_from.texts, tokenizer, task.limits, base.bos, base.template)
    divided = learning.divided(learned_from, encoded.ids, section, encoded.spans)
    network.to(device)  # type: ignore[arg-type]  # transformers wraps it without its annotation
    trainee = method.trainee(network, section)
    count = sum(parameter.numel() for parameter in trainee.weights.values())
    log(f"{len(divided.learned)} train pairs, {count:,} weights to train, {learned_from.left_out} pairs left out")
    key = checkpoint.key_of(weights.fingerprint(base, path), divided, section, code.fingerprints(*CODE))
    done = train.train(trainee, divided, section, STORE / key / "checkpoint.pt", log)
    method.save(trainee, done.weights, str(entry.finetune), out)
    report = {
        "model": name,
        "base": entry.finetune,
        "dataset": task.dataset,
        "layer": trainee.layer,
        "weights": count,
        "pairs": len(divided.learned),
        "held_out": len(divided.held),
        "left_out": learned_from.left_out,
        "key": key,
        "settings": asdict(section),
        "kept": done.best["epoch"],
        "history": [
            {name: None if math.isnan(value) else value for name, value in row.items()} for row in done.history
        ],
    }
    write_text(out / finetunes.CARD, card(report))
    write_json(out / finetunes.REPORT, report)
