"""Models and baselines of the catalogue, opened: two texts -> a score, in the two steps that are timed.

What a kind needs is imported where it is opened: word vectors and overlap are measured in a process without torch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pipeline.base import settings
from pipeline.baselines.overlap import MEASURES, words
from pipeline.baselines.vectors import averages, located, random_vectors, read_vectors
from pipeline.catalog import entries
from pipeline.catalog.entries import Baseline
from pipeline.score.similarities import cosine

COSINE = "cosine"


@dataclass(frozen=True)
class Variant:
    """One way of an encoder to compare two texts."""

    layer: int | None = None
    """at which a model is left; None for what has no layers"""
    similarity: str = COSINE
    """of two vectors, or the measure of an encoder without vectors"""
    parameters: int = 0
    """numbers that it computes with"""


@dataclass(frozen=True)
class Encoder:
    """Texts -> scores of pairs. The texts of n pairs are all first sentences, then all second ones, 2 n in all."""

    kind: str
    """family of a model, or kind of a baseline"""
    pooling: str | None
    """how token states become one vector; None without vectors"""
    variants: list[Variant]
    """the deepest last"""
    tokenize: Callable[[list[str]], Any] | None
    """texts -> tokens; None where characters and words are compared in one step"""
    scores: Callable[[Any, Variant], np.ndarray]
    """tokens (texts where it `reads_text`) -> scores (n,), once the device has computed them"""
    reads_text: bool = False
    """whether `scores` splits the text itself"""
    disk_bytes: int = 0
    """of the files of its weights"""
    device: str = "cpu"


def opened(name: str, device: str = "") -> Encoder:
    """A model or baseline of catalog.yaml, ready to be timed. InputError where it cannot be loaded."""
    if name in (settings.read_yaml("catalog.yaml").get("models") or {}):
        from pipeline.cost.networks import layered  # torch takes seconds, and memory

        return layered(name, device)
    entry: Baseline = entries.entry("baselines", name)
    if entry.kind == "encoder":
        from pipeline.cost.networks import sentence_encoder

        return sentence_encoder(entry, name, device)
    return WORDS[entry.kind](entry, f"baseline {name}")


def split(texts: list[str]) -> list[list[str]]:
    """The words of each text."""
    return [words(text) for text in texts]


def halves(vectors: np.ndarray) -> np.ndarray:
    """Vectors of n first and n second sentences (2 n, D) -> their cosines (n,), in float64 as the stage score does."""
    first, second = np.split(vectors.astype(np.float64), 2)
    return cosine(first, second)


def overlap(entry: Baseline, what: str) -> Encoder:
    """Each measure of two texts. TF-IDF is left out: it is fitted to a corpus."""

    def scores(texts: list[str], variant: Variant) -> np.ndarray:
        measure, count = MEASURES[variant.similarity], len(texts) // 2
        return np.array([measure(a, b) for a, b in zip(texts[:count], texts[count:])])

    variants = [Variant(similarity=name) for name in MEASURES]
    return Encoder("overlap", None, variants, None, scores, reads_text=True)


def random(entry: Baseline, what: str) -> Encoder:
    """Random word vectors, drawn anew for each batch: there is no table."""

    def scores(texts: list[str], variant: Variant) -> np.ndarray:
        vectors = random_vectors(entry, pl.DataFrame(), pl.DataFrame({"text": texts}), what).vectors
        assert vectors is not None
        return halves(vectors)

    return Encoder("random", "mean", [Variant()], split, scores, reads_text=True)


class _EveryWord(set):
    def __contains__(self, word: object) -> bool:
        return True


def vectors(entry: Baseline, what: str) -> Encoder:
    """Averaged word vectors of a file. All its words are held, as an encoder of any text must."""
    file = located(entry, what)
    known, dim = read_vectors(file, _EveryWord())

    def scores(texts: list[str], variant: Variant) -> np.ndarray:
        return halves(averages(pl.Series(texts), known, dim))

    variants = [Variant(parameters=len(known) * dim)]
    return Encoder("vectors", "mean", variants, split, scores, reads_text=True, disk_bytes=size_of([file]))


WORDS: dict[str, Callable[[Baseline, str], Encoder]] = {"overlap": overlap, "random": random, "vectors": vectors}
"""the kinds of catalog.entries.BASELINE_KINDS that need no network"""


def size_of(files: list[Path]) -> int:
    """Bytes of some files."""
    return sum(file.stat().st_size for file in files)
