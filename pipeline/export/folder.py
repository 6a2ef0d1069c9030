"""One layer and pooling as a folder that sentence-transformers opens anywhere, without this project."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.base.errors import InputError, needs_extra, one_of
from pipeline.base.machine import quiet_transformers
from pipeline.catalog import entries, fetch, revisions
from pipeline.catalog.entries import Model, tokenizer_source
from pipeline.export.layer import sentence_transformer
from pipeline.models.generations import GENERATIONS
from pipeline.text.tokenizers import FILES

with needs_extra("encoders"):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

MODES = {"mean": "mean", "last": "lasttoken", "first": "cls", "max": "max", "weighted_mean": "weightedmean"}
"""our pooling -> that of sentence-transformers"""
PROBES = ["The court dismissed the appeal.", "Rain.", "Who said so, and to whom, nobody could remember afterwards."]
"""texts of several lengths, on which the folder is compared with our layer before it is kept"""
TOLERANCE = 2e-3
"""of the largest component: what rounding states to float16 leaves"""


def save(model: str, layer: int, path: Path, pooling: str = "mean") -> None:
    """A model of catalog.yaml, a layer (C1; negative numbers count from the last) and a pooling -> a new folder.

    Which of transformers' `hidden_states` the layer is differs between families, so that one is taken which gives our
    vectors. InputError where none does: most families put the last layer through their final norm.
    """
    if path.exists():
        raise InputError(f"{path} is there already: remove it, or give another folder")
    mode = MODES[one_of(pooling, MODES, "the pooling of a folder")]
    entry: Model = entries.entry("models", model)
    tokenizer = _tokenizer_of(entry, model)
    ours = sentence_transformer(model, layer, pooling, "cpu")
    exact = ours.encode(PROBES)
    network: Any = ours[0].network
    with tempfile.TemporaryDirectory() as part, quiet_transformers():
        network.base_model.save_pretrained(part)
        tokenizer.save_pretrained(part)
        for number in range(network.config.get_text_config().num_hidden_layers, -1, -1):
            theirs = _encoder(part, number, mode, entry.special_tokens)
            found = theirs.encode(PROBES)
            if found.shape == exact.shape and np.abs(found - exact).max() <= TOLERANCE * np.abs(exact).max():
                theirs.save(str(path))
                return
    raise InputError(
        f"layer {layer} of {model} is none of the hidden states that transformers gives: most families put the last "
        "layer through their final norm, which ours does not have. Export an earlier layer, or call "
        "pipeline.export.layer.sentence_transformer"
    )


def module_of(path: Path) -> str | None:
    """What must be imported before a folder opens: for RWKV our class of its generation, else nothing."""
    family = json.loads((path / "config.json").read_text())["model_type"]
    networks: list[Any] = [generation.network for generation in GENERATIONS.values()]
    return next((one.__module__ for one in networks if one.config_class.model_type == family), None)


def _encoder(folder: str, number: int, mode: str, special_tokens: bool) -> SentenceTransformer:
    """The encoder of hidden state `number` of a folder."""
    transformer = Transformer(
        folder,
        modality_config={"text": {"method": "forward", "method_output_name": ["hidden_states", number]}},
        module_output_name="token_embeddings",
        processing_kwargs={"text": {"add_special_tokens": special_tokens}},
    )
    return SentenceTransformer(
        modules=[transformer, Pooling(transformer.get_embedding_dimension(), mode)], device="cpu"
    )


def _tokenizer_of(entry: Model, model: str) -> Any:
    """The tokenizer of an entry, as transformers loads and saves it; with a padding token, which batches need."""
    from transformers import AutoTokenizer

    source = tokenizer_source(entry)
    if source.kind != "hf" or entry.bos is not None or entry.shuffle_words is not None:
        raise InputError(
            f"model {model} has a tokenizer ({source.kind}) or a setting (bos, shuffle_words) that a folder cannot "
            "hold: call pipeline.export.layer.sentence_transformer where it is used"
        )
    if source.path is not None:
        folder = fetch.local(source.path, f"model {model}")
    else:
        commit = revisions.commit_of(str(source.hub), source.revision, f"model {model}")
        folder = fetch.snapshot(str(source.hub), commit, FILES, f"model {model}")
    with quiet_transformers():
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    tokenizer.padding_side = "right"
    return tokenizer
