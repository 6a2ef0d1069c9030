"""What a run will take of the disk and of time: tokens are counted, the speed of this machine is measured."""

import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pipeline.base import settings
from pipeline.base.settings import Study
from pipeline.catalog import fetch, revisions
from pipeline.catalog.entries import Dataset, Model, entry, tokenizer_source
from pipeline.command.listing import cached_file
from pipeline.command.quantities import amount, in_words, size
from pipeline.dump.settings import Dump
from pipeline.pool.settings import Pool
from pipeline.text.pairs import Prepared, prepare
from pipeline.text.settings import Prepare, Tokenize

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

    from pipeline.command.scale import Kept

TOKENS_A_WORD = 1.3
"""where the tokenizer is not on this machine"""
SHARE = 0.5
"""of the rate of one large matrix product that a forward pass reaches: .84 at 12 x 768, less in small models"""
START = 4.0
"""seconds that a stage takes to start Python and its imports, and to be recorded by DVC"""
PER_STATE = 25e-9
"""seconds for each number of the states, to pool, sweep and fit"""
STAGES_ALWAYS, STAGES_A_MODEL = 11, 7
"""stages of dvc.yaml that run once, and those that run once a model; a baseline has one"""


@dataclass(frozen=True)
class Extent:
    """What a model's dump will be."""

    name: str
    parameters: int
    """without the embedding"""
    blocks: int
    width: int
    tokens: int
    counted: bool
    """whether tokens are counted rather than guessed"""
    disk: int
    """bytes of its states and vectors"""
    numbers: int
    """of its states"""
    kept: "Kept"
    """what of it is kept"""
    lengths: np.ndarray
    """tokens that are kept of each sentence, (S,)"""

    def __str__(self) -> str:
        about = "" if self.counted else "about "
        return (
            f"{self.name}: {self.blocks} blocks of width {self.width}, {about}{self.tokens:,} tokens; "
            f"states and vectors of all layers take {size(self.disk)}"
        )

    @property
    def operations(self) -> float:
        """Floating-point operations of its forward passes."""
        return 2.0 * self.parameters * self.tokens


def prepared(name: str, limit: int | None, ask: bool, catalog: str) -> Prepared | None:
    """The pairs of a data set; None for one of the hub that is not on this machine, unless it may be asked for."""
    found: Dataset = entry("datasets", name, catalog)
    if found.hub is not None and not Path(found.hub).is_dir() and not ask:
        return None
    return prepare(found, name, Prepare(limit))


def of_pairs(name: str, found: Prepared) -> str:
    """How many pairs and sentences there are, in words."""
    splits = ", ".join(f"{split} {count:,}" for split, count in found.info["splits"].items())
    return f"{name}: {len(found.pairs):,} pairs ({splits}), {len(found.sentences):,} distinct sentences"


def of_model(name: str, sentences: pl.DataFrame, ask: bool, catalog: str) -> Extent | None:
    """What dumping a model over some sentences takes; None where it is not on this machine and may not be asked for.

    InputError for a model that cannot be loaded, and for sentences that are too long for it.
    """
    found: Model = entry("models", name, catalog)
    config = _config(found, name, ask)
    if config is None:
        return None
    from pipeline.command.scale import Kept, cost
    from pipeline.dump.settings import of_model as dump_of
    from pipeline.models.layers import depth_of, layer_numbers
    from pipeline.readouts.registry import readout_of

    network, dump = _network(config), dump_of(settings.section(Dump), found, name)
    readout = readout_of(dump.keep, dump.readout)
    layers, shape = layer_numbers(dump.layers, depth_of(network), readout.first), readout.shape_of(network)
    kept = Kept(dump.keep, layers, shape, dump.store, dump.batch_tokens, dump.shard_mb)
    lengths, pooled, counted = _lengths(found, name, sentences["text"].to_list(), ask)
    takes, width = cost(kept, pooled, len(pooled), settings.section(Pool).store), math.prod(shape)
    read, numbers = round(readout.passes * int(lengths.sum())), takes.rows * kept.numbers
    disk = takes.states + takes.vectors
    return Extent(name, _parameters(network), depth_of(network), width, read, counted, disk, numbers, kept, pooled)


def _config(found: Model, name: str, ask: bool) -> "PreTrainedConfig | None":
    """The config of a model, without its weights."""
    from pipeline.models import configs, generations, weights

    if found.path is not None:
        path = fetch.local(found.path, f"model {name}")
        if path.is_file() or not (path / "config.json").exists():
            return generations.config_of(path, found.config)
        return configs.folder_config(path, found.config)
    if found.hub is None:
        return configs.random_config(found.config, name)
    file = cached_file(found.hub, found.revision, "config.json")
    if file is None:
        if not ask:
            return None
        commit = revisions.commit_of(found.hub, found.revision, f"model {name}")
        file = fetch.snapshot(found.hub, commit, weights.DESCRIPTIONS, f"model {name}") / "config.json"
    return configs.folder_config(fetch.config_file(file.parent, f"model {name}").parent, found.config)


def _lengths(found: Model, name: str, texts: list[str], ask: bool) -> tuple[np.ndarray, np.ndarray, bool]:
    """Tokens that are read of each sentence, those that are pooled, both (S,), and whether they are counted."""
    from pipeline.text.encoding import encode
    from pipeline.text.tokenizers import tokenizer_of

    source = tokenizer_source(found)
    if source.hub is not None and not ask and cached_file(source.hub, source.revision, "tokenizer.json") is None:
        guessed = np.array([round(1 + TOKENS_A_WORD * len(text.split())) for text in texts])
        return guessed, guessed, False
    encoded = encode(texts, tokenizer_of(found, name), settings.section(Tokenize), found.bos, found.template)
    return encoded.ids.lengths, np.diff(encoded.spans)[:, 0], True


def _network(config: "PreTrainedConfig") -> "PreTrainedModel":
    """The network of a config, without memory for its weights."""
    import torch
    from transformers import AutoModel

    with torch.device("meta"):
        return AutoModel.from_config(config)


def _parameters(network: "PreTrainedModel") -> int:
    """Weights of a model without those of its embedding, which no token is multiplied with."""
    embedding = sum(weights.numel() for weights in network.get_input_embeddings().parameters())
    return sum(weights.numel() for weights in network.parameters()) - embedding


def rate(seconds: float = 0.3, side: int = 1024) -> float:
    """Floating-point operations a second of a matrix product in float32 on this machine, now."""
    import torch

    a = torch.ones(side, side)
    a @ a
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        a @ a
        count += 1
    return 2.0 * side**3 * count / (time.perf_counter() - start)


def minutes(extents: Sequence[Extent], study: Study, speed: float) -> tuple[float, float]:
    """Minutes of a run that finds nothing in the cache, and those of them in which models run on the CPU."""
    stages = STAGES_ALWAYS + STAGES_A_MODEL * len(study.models) + len(study.baselines)
    running = sum(extent.operations for extent in extents) / (SHARE * speed)
    reading = PER_STATE * sum(extent.numbers for extent in extents)
    return (START * stages + running + reading) / 60, running / 60


def lines(study: Study, limit: int | None, ask: bool = False, catalog: str = "catalog.yaml") -> list[str]:
    """What a run of a study takes, in words: pairs, each model, disk and time."""
    if (found := prepared(study.dataset, limit, ask, catalog)) is None:
        return [f"{study.dataset}: it comes from the hub, and how much it is is not known before it is downloaded"]
    extents = {name: of_model(name, found.sentences, ask, catalog) for name in study.models}
    known = [extent for extent in extents.values() if extent is not None]
    said = [of_pairs(study.dataset, found)]
    if len(found.info["splits"]) == 1:
        said.append(
            "WARNING: there is one split: layers are chosen on the pairs that are reported, which flatters them"
        )
    said += [
        str(extent or f"{name}: not on this machine yet, so its size is not known") for name, extent in extents.items()
    ]
    total, free = sum(extent.disk for extent in known), shutil.disk_usage(".").free
    rest = "" if len(known) == len(extents) else ", without what is not known"
    said.append(f"disk: {size(total)}{rest}; {size(free)} are free")
    whole, running = minutes(known, study, rate())
    said.append(
        f"time: {in_words(whole)}{rest} where nothing is cached, {in_words(running)} of it in the models "
        "(a guess for an idle machine)"
    )
    return said


def lines_of_many(study: Study, limit: int | None, sentences: int, speed: float | None) -> list[str]:
    """What so many sentences would take, of lengths as those of the study has, in words; four lines for each model.

    speed: tokens that a device reads a second, where it is known.
    """
    from pipeline.command.scale import cost

    if (found := prepared(study.dataset, limit, False, "catalog.yaml")) is None:
        return []
    said = [f"{sentences:,} sentences like these:"]
    for name in study.models:
        if (extent := of_model(name, found.sentences, False, "catalog.yaml")) is None:
            continue
        store = settings.section(Pool).store
        takes = cost(extent.kept, extent.lengths, sentences, store)
        read = sentences * extent.tokens / len(extent.lengths)
        said += [
            f"{name}: {amount(read)} tokens",
            f"  states: {size(takes.states)} in {takes.shards:,} shards (dump.keep: {extent.kept.keep})",
            f"  vectors: {size(takes.vectors)} (pool.store: {store}), and {size(takes.scratch)} beside them "
            "while they are pooled",
        ]
        if speed:
            said.append(f"  time: {in_words(read / speed / 60)} of one device at {speed:,.0f} tokens a second")
    return said
