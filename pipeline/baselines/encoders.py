"""Sentence encoders as their authors made them, through sentence-transformers (extra `encoders`): their own pooling,
dense layers, normalisation and prompts.

Their layers are another matter: an entry of `models` with the same folder dumps them like any transformer's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from pipeline.base.errors import InputError, first_line, needs_extra
from pipeline.base.machine import chosen_device, must_be_here, quiet_transformers
from pipeline.catalog import fetch, revisions
from pipeline.catalog.entries import ENCODER_POOLINGS, Baseline, source_of
from pipeline.engine.local import LOCAL
from pipeline.formats.baselines import Result
from pipeline.formats.vectors import OWN

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from pipeline.engine.engines import Engine

DESCRIPTIONS = ["*.json", "*.txt", "*.model"]
BATCH = 32
SENTENCES_AT_ONCE = 1 << 12
"""an item of the engine; the encoder sorts them by length, so their number decides what is in a batch"""
POOLER = {"text": {"method": "forward", "method_output_name": "pooler_output"}}
"""sentence-transformers' words for: the vector is what the network's own pooler gives"""


@dataclass(frozen=True)
class Encoding:
    """What encodes texts by an encoder of the catalogue."""

    entry: Baseline
    folder: Path
    what: str

    def __call__(self) -> Callable[[list[str]], tuple[np.ndarray, dict[str, Any], int | None]]:
        """The function of some texts (S,) -> their vectors (S, D), what the encoder is, and how many it cut."""
        must_be_here(self.folder, self.what)
        encoder = opened(self.entry, self.folder, self.what)
        prompt = prompt_of(encoder, self.entry.prompt)
        about = {
            "modules": [described(module) for module in encoder],
            "prompt": prompt,
            "max_tokens": encoder.max_seq_length,
        }

        def encoded(texts: list[str]) -> tuple[np.ndarray, dict[str, Any], int | None]:
            vectors = encoder.encode(texts, prompt=prompt, batch_size=BATCH, show_progress_bar=False)
            return np.asarray(vectors, dtype=np.float32), about, truncated(encoder, texts)

        return encoded


def sentence_encoder(
    entry: Baseline, pairs: pl.DataFrame, sentences: pl.DataFrame, what: str, engine: "Engine" = LOCAL
) -> Result:
    """The vectors that an encoder of sentence-transformers gives, and what it did for them."""
    with needs_extra("encoders"):
        import sentence_transformers  # noqa: F401 - before anything is sent to workers
    folder = located(entry, what)
    texts = sentences["text"].to_list()
    slices = [texts[first : first + SENTENCES_AT_ONCE] for first in range(0, len(texts), SENTENCES_AT_ONCE)]
    sizes = list(map(len, slices))
    found = list(engine.each(Encoding(entry, folder, what), slices, what, "sentence", sizes, network=True))
    vectors = np.concatenate([part for part, _, _ in found])
    cut = [count for _, _, count in found if count is not None]
    info = {
        "dim": int(vectors.shape[1]),
        **found[0][1],
        "truncated": sum(cut) if cut else None,
        "sha256": fetch.digest(sorted(folder.rglob("*.safetensors")) or sorted(folder.rglob("*.bin")))[:16],
        "source": None if entry.hub is None else revisions.source(entry.hub, entry.revision, folder.name),
    }
    return Result(vectors=vectors, pooling=OWN, info=info)


def located(entry: Baseline, what: str) -> Path:
    """The folder of an encoder, downloaded first if the entry names the hub."""
    if source_of(entry, what) == "path":
        return fetch.local(str(entry.path), what)
    commit = revisions.commit_of(str(entry.hub), entry.revision, what)
    folder = fetch.snapshot(str(entry.hub), commit, [*DESCRIPTIONS, "*.safetensors"], what)
    if not list(folder.rglob("*.safetensors")):
        folder = fetch.snapshot(str(entry.hub), commit, [*DESCRIPTIONS, "*.bin"], what)
    return folder


def opened(entry: Baseline, folder: Path, what: str) -> "SentenceTransformer":
    """The encoder of a folder. Raises InputError where it cannot be loaded without code of its own."""
    with needs_extra("encoders"):
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    if not (folder / "modules.json").exists() and entry.pooling is None:
        raise InputError(
            f"{what}: {folder} has no modules.json, which says how a sentence becomes a vector. Say it with `pooling`: "
            f"{', '.join(ENCODER_POOLINGS)}"
        )
    device = str(chosen_device())
    try:
        with quiet_transformers():
            if entry.pooling is None:
                options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
                return SentenceTransformer(str(folder), device=device, **options)
            if entry.pooling == "pooler":
                modules = [Transformer(str(folder), modality_config=POOLER, module_output_name="sentence_embedding")]
            else:
                network = Transformer(str(folder))
                modules = [network, Pooling(network.get_embedding_dimension(), pooling_mode=entry.pooling)]
            return SentenceTransformer(modules=modules, device=device)
    except Exception as error:  # damaged folders raise anything
        raise InputError(
            f"{what}: sentence-transformers cannot load {folder} without code of its own ({first_line(error)})"
        ) from error


def prompt_of(encoder: "SentenceTransformer", prompt: str | None) -> str | None:
    """The text before every sentence: of an entry, by its name or as it is, else the encoder's default."""
    prompts = dict(encoder.prompts)
    if prompt is None:
        return prompts.get(encoder.default_prompt_name or "") or None
    return prompts.get(prompt, prompt)


def described(module: Any) -> str:
    """What a module of an encoder is, in a few words."""
    name = type(module).__name__
    if name == "Transformer":
        return f"{name} {module.auto_model.config.model_type}"
    if name == "Pooling":
        return f"{name} {module.pooling_mode}"
    return name


def truncated(encoder: "SentenceTransformer", texts: list[str]) -> int | None:
    """How many texts are longer than the encoder reads; None where it does not say."""
    limit, tokenizer = encoder.max_seq_length, encoder.tokenizer
    if limit is None or not callable(tokenizer):
        return 0 if limit is None else None
    ids = tokenizer(texts, truncation=False, verbose=False)["input_ids"]
    return sum(len(of_text) > limit for of_text in ids)
