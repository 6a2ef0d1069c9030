"""One model, from its entry in the catalogue to the folder of what it learned."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import polars as pl
import torch

from pipeline.base import code, settings
from pipeline.base.files import write_json, write_text
from pipeline.catalog.entries import Model
from pipeline.finetune import method, train
from pipeline.finetune.card import card
from pipeline.finetune.pairs import train_pairs
from pipeline.finetune.settings import Finetune
from pipeline.formats import finetunes
from pipeline.models import load, weights
from pipeline.text.settings import Tokenize
from pipeline.text.tokenizers import encode, tokenizer_of

STORE = Path(".drillcore/finetunes")
"""checkpoints, a folder for each key; removing it loses nothing but time"""


def finetune(
    name: str,
    entry: Model,
    pairs: pl.DataFrame,
    sentences: pl.DataFrame,
    section: Finetune,
    device: torch.device,
    out: Path,
    log: Callable[[str], None],
) -> None:
    """Train a model whose entry has `finetune` on train pairs of C2, or of finetune.dataset; write the folder `out`.

    A run with the same key goes on where an earlier one stopped, or ends at once if that was finished.
    """
    learned_from = train_pairs(pairs, sentences, section.dataset)
    base = replace(entry, adapter=None)
    path = weights.locate(base, name)
    network = load.load(base, path, name, "float32")
    tokenizer = tokenizer_of(base, name)
    ids, _ = encode(learned_from.texts, tokenizer, settings.section(Tokenize), base.bos)
    learning = train.divided(learned_from, ids, section)
    network.to(device)  # type: ignore[arg-type]  # transformers wraps it without its annotation
    trainee = method.trainee(network, section)
    count = sum(parameter.numel() for parameter in trainee.weights.values())
    log(f"{len(learning.learned)} train pairs, {count:,} weights to train, {learned_from.left_out} pairs left out")
    key = train.key_of(weights.fingerprint(base, path), learning, section, code.fingerprints(__name__))
    done = train.train(trainee, learning, section, STORE / key / "checkpoint.pt", log)
    method.save(trainee, done.weights, str(entry.finetune), out)
    report = {
        "model": name,
        "base": entry.finetune,
        "dataset": settings.study().dataset,
        "layer": trainee.layer,
        "weights": count,
        "pairs": len(learning.learned),
        "held_out": len(learning.held),
        "left_out": learned_from.left_out,
        "key": key,
        "settings": asdict(section),
        "history": [{name: None if value != value else value for name, value in row.items()} for row in done.history],
    }
    write_text(out / finetunes.CARD, card(report))
    write_json(out / finetunes.REPORT, report)
