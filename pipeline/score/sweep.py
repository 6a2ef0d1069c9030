"""Every pooling, correction, similarity and layer of one model in one read of its states.

Layer by layer, so that only one layer's vectors are held (and the means of all layers where there is a mix of them),
and each column of the dump is read once. Nothing is kept but the scores of the pairs.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from pipeline.base.errors import InputError
from pipeline.base.files import replacing
from pipeline.base.progress import progress
from pipeline.formats import sweeps
from pipeline.formats.dumps import States
from pipeline.formats.fits import Fits
from pipeline.formats.pairs import sentence_count
from pipeline.formats.splits import train_sentences
from pipeline.formats.unembeddings import Unembedding
from pipeline.pool.batches import mix_of, pool_layer
from pipeline.pool.inputs import Inputs
from pipeline.pool.names import MEAN, STATE, Pooling, mismatch
from pipeline.pool.statistics import FROM_STATISTICS
from pipeline.pool.weighted import without_common
from pipeline.score import loes
from pipeline.score.combinations import Table, at_layers, score_vectors, usable
from pipeline.score.settings import Sweep
from pipeline.score.swept import PAIRS_OF_LAYERS, SweptPooling, Variant

CONTROL = "it is a control with random weights, which nobody trained (sweep.controls)"
TOKEN_POOLINGS = "poolings of token states"


def sweep(
    dump: States, pairs: pl.DataFrame, path: str | Path, model: str, settings: Sweep, inputs: Inputs
) -> dict[str, str]:
    """The states of a dump and pairs (C2) -> the file of `formats.sweeps`.

    Poolings that this dump or fit cannot give, and corrections that the vectors cannot have, are left out -> {name:
    why}, which the file has too. Raises InputError for states of another dataset, and where nothing is left.
    """
    pairs = pairs.sort("pair_id")
    dump.check_sentences(sentence_count(pairs))
    listed, left_out = listed_for(settings.poolings, dump)
    corrections, without = usable(settings.corrections, inputs.unembedding)
    left_out |= missing(listed, dump, inputs.fits) | without
    with replacing(path) as part:
        scorer = _Scorer(part, pairs, model, replace(settings, corrections=corrections), inputs.unembedding)
        listed = [pooling for pooling in listed if str(pooling) not in left_out]
        _score_layers(dump, variants_of(listed, dump, inputs.fits), inputs, scorer)
        left_out |= scorer.reasons()
        if not scorer.count:
            reasons = "; ".join(f"{name}: {why}" for name, why in left_out.items())
            raise InputError(
                f"nothing of the section sweep can be computed for {model} ({reasons}): add mean to its poolings and "
                "none to its corrections"
            )
        scorer.close(left_out)
    return left_out


def nothing(path: str | Path, pairs: pl.DataFrame, model: str, why: str) -> None:
    """A sweep without combinations, and the reason."""
    with replacing(path) as part:
        sweeps.Writer(part, model, len(pairs)).close({"everything": why})


def listed_for(poolings: list[SweptPooling], dump: States) -> tuple[list[SweptPooling], dict[str, str]]:
    """Those of a list that are for a kind of dump, and why the others are not: of recurrent states all that take token
    states, in one line. Where that leaves none of recurrent states, `state` is swept.
    """
    if dump.keep != "state":
        return poolings, {}
    of_states = [swept for swept in poolings if swept.pooling and swept.pooling.kind == "state"]
    left_out = {TOKEN_POOLINGS: "the dump kept recurrent states"} if len(of_states) < len(poolings) else {}
    return of_states or [SweptPooling(str(STATE), STATE)], left_out


def missing(poolings: Iterable[SweptPooling], dump: States, fits: Fits) -> dict[str, str]:
    """What cannot be computed from a dump and a fit -> {name: why}."""
    reasons = {str(pooling): reason_against(pooling, dump, fits) for pooling in poolings}
    return {name: reason for name, reason in reasons.items() if reason}


def reason_against(swept: SweptPooling, dump: States, fits: Fits) -> str | None:
    """Why a pooling cannot be computed, None where it can."""
    pooling = swept.pooling
    if pooling is None:
        return "needs two layers (dump.layers)" if len(dump.layers) < 2 else None
    if why := mismatch(pooling, dump.keep):
        return why
    if pooling.learned and not fits.get(pooling.entry):
        return "not fitted (section fit)"
    if dump.keep == "pooled" and pooling.kind != "mix" and pooling.entry not in FROM_STATISTICS:
        return "needs every token (dump.keep)"
    if pooling.entry == "updates" and len(dump.layers) < 2:
        return "needs two layers (dump.layers)"
    if absent := sorted(set(pooling.layers_needed) - set(dump.layers)):
        return f"needs layer {absent[0]} (dump.layers)"
    return None


def variants_of(listed: Iterable[SweptPooling], dump: States, fits: Fits) -> list[Variant]:
    """The poolings of a sweep, each once, in the order of the list."""
    variants: dict[Pooling, Variant] = {}
    for pooling in listed:
        for variant in pooling.variants(dump.layers, fits):
            variants.setdefault(variant.pooling, variant)
    return list(variants.values())


def _score_layers(dump: States, variants: list[Variant], inputs: Inputs, scorer: "_Scorer") -> None:
    """One layer after the other, then the mixes of all; and the order of layers by their means, without labels."""
    mixes = [variant for variant in variants if variant.pooling.kind == "mix"]
    of_tokens = [variant for variant in variants if variant.pooling.kind != "mix"]
    wanted = dict.fromkeys([variant.pooling for variant in of_tokens] + ([MEAN] if mixes else []))
    means, train, looked_at = {}, {}, loes.looked_at(scorer.train)
    for layer in progress(dump.layers, "sweep", "layer"):
        pooled = vectors_of(dump, layer, wanted, inputs)
        if MEAN in wanted:
            train[layer] = pooled[MEAN][looked_at]
        if mixes:
            means[layer] = pooled[MEAN]
        for variant in of_tokens:
            scorer.add(variant, layer, pooled.pop(variant.pooling))
    scorer.loes = loes.order_of(train)
    for variant in mixes:
        scorer.add(variant, None, mix_of(variant.pooling, inputs)(means))


def vectors_of(dump: States, layer: int, poolings: Iterable[Pooling], inputs: Inputs) -> dict[Pooling, np.ndarray]:
    """One layer, read once -> {pooling: (S, D) float32 with row i = sentence_id i}."""
    poolings = list(poolings)
    parts = [pool_layer(batch, dump.layers[layer], layer, poolings, inputs) for batch in dump.batches]
    ids, pooled = dump.sentence_ids(), {}
    for pooling in poolings:
        rows = np.concatenate([part.pop(pooling) for part in parts])
        pooled[pooling] = np.empty_like(rows)
        pooled[pooling][ids] = rows
        if pooling.removes_common:
            assert inputs.train is not None
            pooled[pooling] = without_common(pooled[pooling][inputs.train])(pooled[pooling])
    return pooled


class _Scorer:
    """Scores vectors by every correction and similarity, and writes them in large parts."""

    def __init__(
        self, part: Path, pairs: pl.DataFrame, model: str, settings: Sweep, unembedding: Unembedding | None
    ) -> None:
        self.pairs, self.train, self.model, self.settings = pairs, train_sentences(pairs), model, settings
        self.unembedding = unembedding
        self.writer, self.table = sweeps.Writer(part, model, len(pairs)), Table(pairs, sweeps.COLUMNS)
        self.left_out: dict[tuple[str, str], dict[str, list[str | None]]] = {}
        """correction and why it was left out -> pooling -> its options where it was"""
        self.loes: list[tuple[int, float]] = []
        """layers in the order that needs no labels, and their scores; none where no means were swept"""
        self.count = 0
        """combinations scored"""

    def add(self, variant: Variant, layer: int | None, vectors: np.ndarray) -> None:
        """The vectors (S, D) of a pooling, at a layer or of several.

        Pairs of layers have the first correction only: L layers have L (L - 1) / 2 of them, and a correction takes
        longer than all else.
        """
        settings = self.settings
        corrections = settings.corrections[:1] if variant.listed == PAIRS_OF_LAYERS else settings.corrections
        scored = score_vectors(vectors, self.pairs, self.train, corrections, settings.similarities, self.unembedding)
        for correction, similarity, scores in scored.scores:
            self.table.add(
                scores,
                encoder=self.model,
                pooling=str(variant.pooling),
                correction=str(correction),
                layer=layer,
                similarity=str(similarity),
                listed=variant.listed,
                run=variant.run,
                option=variant.option(layer),
            )
        self.count += len(scored.scores)
        for correction, why in scored.left_out:
            options = self.left_out.setdefault((str(correction), why), {})
            options.setdefault(variant.listed, []).append(variant.option(layer))
        if self.table.full:
            self._write()

    def reasons(self) -> dict[str, str]:
        """Corrections that some vectors could not have -> why and where, poolings of the same layers together."""
        reasons: dict[str, str] = {}
        for (correction, why), options in self.left_out.items():
            together: dict[str, list[str]] = {}
            for pooling, layers in options.items():
                together.setdefault(at_layers(dict.fromkeys(layers)), []).append(pooling)  # runs share their layers
            places = "; ".join(", ".join(poolings) + where for where, poolings in together.items())
            earlier = f"{reasons[correction]}; " if correction in reasons else ""
            reasons[correction] = f"{earlier}{why} for {places}"
        return reasons

    def _write(self) -> None:
        for part in self.table.parts():
            self.writer.write(part)
        self.table = Table(self.pairs, sweeps.COLUMNS)

    def close(self, left_out: dict[str, str]) -> None:
        """Finish the file."""
        self._write()
        self.writer.close(left_out, self.loes)
