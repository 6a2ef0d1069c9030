"""What poolings and corrections take beside the states: weights of tokens, learned parameters, the unembedding, and
which sentences are of train.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.base.errors import InputError
from pipeline.formats import fits as fit_files
from pipeline.formats.damage import foreign
from pipeline.formats.ragged import Ragged
from pipeline.formats.unembeddings import Unembedding
from pipeline.pool.names import Pooling
from pipeline.pool.weighted import token_weights


@dataclass(frozen=True)
class Inputs:
    """What some poolings, and corrections of what they give, take beside the states."""

    weights: dict[str, Ragged] = field(default_factory=dict)
    """entry of `weighted.WEIGHTED` -> (T,) of each sentence_id"""
    fits: fit_files.Fits = field(default_factory=dict)
    """entry -> {run: {layer: what was learned}}"""
    train: np.ndarray | None = None
    """ids of the train sentences (n,), on which a common component that is removed is fitted"""
    unembedding: Unembedding | None = None
    """of the model, for corrections"""

    def learned(self, pooling: Pooling) -> dict[int, np.ndarray]:
        """What was learned for a pooling: {layer: (D,) or a number}.

        InputError where the stage fit was not asked for it, or has fewer runs.
        """
        runs = self.fits.get(pooling.entry, {})
        if pooling.run not in runs:
            raise InputError(
                f"pooling {pooling} was not fitted ({len(runs)} runs of {pooling.entry}): fit.poolings and fit.runs in "
                "params.yaml say what is"
            )
        return runs[pooling.run]


@dataclass(frozen=True)
class Files:
    """Where the inputs of a model are."""

    tokens: Path
    pairs: Path
    fits: Path

    def read(self, poolings: Iterable[Pooling], model: str, manifest: dict[str, Any]) -> Inputs:
        """The inputs of some poolings; a file that none of them needs is not opened.

        InputError for tokens of other sentences than those of the manifest of the dump.
        """
        poolings = list(poolings)
        learned = fit_files.read(self.fits, model) if any(pooling.learned for pooling in poolings) else {}
        entries = list(dict.fromkeys(pooling.entry for pooling in poolings if pooling.kind == "weighted"))
        if not entries:
            return Inputs(fits=learned)
        from pipeline.formats import pairs, splits, tokens  # polars takes its time, and most poolings need none of it

        read = tokens.read(self.tokens, model)
        pooled = read.pooled
        count = len(pooled.values)
        if (len(pooled), count) != (manifest["sentences"], manifest["tokens"]):
            raise foreign(
                self.tokens,
                f"holds {count} tokens of {len(pooled)} sentences, but the states are of {manifest['tokens']} of "
                f"{manifest['sentences']}",
                f"tokenize@{model}",
            )
        train = splits.train_sentences(pairs.read_pairs(self.pairs))
        return Inputs(token_weights(read.sentence_ids, pooled, train, entries), learned, train)
