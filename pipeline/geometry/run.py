"""The geometry of one model: every measure at every layer, in one read of what is kept of each layer."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pipeline.base.errors import InputError
from pipeline.engine.local import LOCAL
from pipeline.formats import geometry
from pipeline.formats.dumps import States
from pipeline.formats.tokens import Tokens
from pipeline.formats.vectors import Vectors
from pipeline.geometry import lexical, states
from pipeline.geometry.between import BETWEEN
from pipeline.geometry.measure import Measure, Sample
from pipeline.geometry.sentences import SENTENCES, entropies_of
from pipeline.geometry.settings import Geometry
from pipeline.geometry.tokens import TOKENS
from pipeline.stats.halves import halves, interval

if TYPE_CHECKING:
    from pipeline.engine.engines import Engine

FEWEST_SENTENCES = 20
SENTENCES_OF_PAIRS = 500
"""most sentences for two layers at once, of which the vectors of all layers are held: 8 N L (N + D) bytes"""
LEVELS = {"sentences": SENTENCES, "layers": BETWEEN, "tokens": TOKENS}
OF_LEVEL = {"sentences": "vectors", "tokens": "mean"}
"""a column that has as many dimensions as what is measured"""
NO_TOKENS = {
    "pooled": "the dump kept statistics only: set dump.keep to tokens and run it again",
    "state": "the dump kept recurrent states, not those of tokens",
}
NO_LAYERS = "pooling {} makes one vector of several layers"


@dataclass(frozen=True)
class Inputs:
    """What is known of one model's sentences."""

    encoder: str
    dump: States
    vectors: Vectors
    tokens: Tokens
    component: np.ndarray
    """of each sentence, (S,)"""


def components_of(pairs: pl.DataFrame) -> np.ndarray:
    """Pairs (C2) -> the component of each sentence, (S,)."""
    ids = np.concatenate([pairs["sentence1_id"].to_numpy(), pairs["sentence2_id"].to_numpy()])
    component = np.empty(ids.max() + 1, dtype=np.int64)
    component[ids] = np.tile(pairs["component"].to_numpy(), 2)
    return component


def facts() -> dict[str, dict[str, str]]:
    """{measure: what pages and pictures say of it}, in their order."""
    return {name: one.facts(level) for level, registry in LEVELS.items() for name, one in registry.items()}


@dataclass(frozen=True)
class Drawn:
    """The sentences of a model that are looked at."""

    order: np.ndarray
    """ids in the order of the draw, (N,)"""
    chosen: np.ndarray
    """the same in ascending order, which is that of what follows"""
    traced: np.ndarray
    """(N,) those whose every state is looked at"""
    component: np.ndarray
    """(N,)"""
    words: np.ndarray
    """their bags of tokens (N, W)"""


def draw(inputs: Inputs, section: Geometry) -> Drawn:
    """At most section.sentences, of which section.traced are traced, with the words of each."""
    order = np.random.default_rng(section.seed).permutation(len(inputs.component))[: section.sentences]
    chosen = np.sort(order)
    at = np.argsort(inputs.tokens.sentence_ids)[chosen]
    ids = inputs.tokens.plain
    words = lexical.bag([ids[row] for row in at])
    return Drawn(order, chosen, np.isin(chosen, order[: section.traced]), inputs.component[chosen], words)


@dataclass(frozen=True)
class OfLayers:
    """What measures a layer."""

    dump: States
    vectors: Vectors
    drawn: Drawn
    halves: list[np.ndarray]
    section: Geometry

    def __call__(self) -> Callable[[int], tuple[list[dict], dict[str, str]]]:
        """The function of a layer's number -> a row for each measure of it, and why some are missing."""
        return self.of

    def of(self, layer: int) -> tuple[list[dict], dict[str, str]]:
        """The same."""
        rows: list[dict] = []
        left_out: dict[str, str] = {}
        sample = Sample(columns_of(self.dump, self.vectors, layer, self.drawn, self.section.seed))
        for level, registry in (("sentences", SENTENCES), ("tokens", TOKENS)):
            known = {name: one for name, one in registry.items() if one.needs <= sample.columns.keys()}
            reason = NO_TOKENS.get(self.dump.keep, "") if level == "tokens" else no_layers(self.vectors)
            left_out |= {name: reason for name in registry if name not in known}
            found = of_layer(known, sample, self.halves, self.section.confidence)
            where = {"level": level, "layer": layer, "dim": sample[OF_LEVEL[level]].shape[1]} if known else {}
            rows += [where | row for row in found]
        return rows, left_out


def measure(inputs: Inputs, section: Geometry, engine: "Engine" = LOCAL) -> tuple[pl.DataFrame, dict[str, str]]:
    """All measures of a model -> a table of `formats.geometry.MEASURED`, and why some are missing."""
    if (count := len(inputs.component)) < FEWEST_SENTENCES:
        raise InputError(f"geometry needs at least {FEWEST_SENTENCES} distinct sentences, but the pairs have {count}")
    inputs.dump.check_sentences(count)
    drawn = draw(inputs, section)
    drawn_halves = halves(drawn.component, section.resamples, section.seed)
    rows: list[dict] = []
    left_out: dict[str, str] = {}
    start = OfLayers(inputs.dump, inputs.vectors, drawn, drawn_halves, section)
    for of_one, missing in engine.each(start, list(inputs.dump.layers), f"geometry of {inputs.encoder}", "layer"):
        rows += of_one
        left_out |= missing
    if inputs.vectors.info.layers:
        rows += between_layers(inputs, np.sort(drawn.order[:SENTENCES_OF_PAIRS]), section)
    else:
        left_out |= dict.fromkeys(BETWEEN, no_layers(inputs.vectors))
    return _table(rows, inputs), left_out


def of_layer(
    measures: Mapping[str, Measure], sample: Sample, drawn: Sequence[np.ndarray], confidence: float
) -> Iterator[dict]:
    """The measures of one layer on the sample, with their intervals from the halves of it."""
    of_halves = [[one.function(half) for one in measures.values()] for half in map(sample.take, drawn)]
    resampled = np.array(of_halves).reshape(len(drawn), len(measures))
    for (name, one), values in zip(measures.items(), resampled.T):
        value = one.function(sample)
        low, high = interval(np.array(value), values, confidence, one.span)
        maximum = one.maximum(sample) if one.maximum else None
        bounds = {"value": value, "low": float(low), "high": float(high), "maximum": maximum}
        yield {"measure": name, "sentences": sample.defined(one.needs)} | bounds


def no_layers(vectors: Vectors) -> str:
    """Why a measure of layers' vectors is left out, where it is."""
    return NO_LAYERS.format(vectors.info.pooling)


def columns_of(dump: States, pooled: Vectors, layer: int, drawn: Drawn, seed: int) -> Mapping[str, np.ndarray]:
    """What is known of the drawn sentences at a layer: the columns that the measures need."""
    columns = states.columns(dump, layer, drawn.chosen, drawn.traced)
    if not pooled.info.layers:
        return columns
    vectors = pooled.rows(layer, drawn.chosen)
    first = np.zeros(len(vectors), dtype=bool)
    first[np.unique(drawn.component, return_index=True)[1]] = True
    errors = lexical.errors(vectors, drawn.words, drawn.component, seed)
    return columns | {"vectors": vectors, "first_of_component": first} | entropies_of(vectors) | errors


def between_layers(inputs: Inputs, chosen: np.ndarray, section: Geometry) -> list[dict]:
    """The measures of every two layers, a row for each."""
    layers = inputs.vectors.layers
    vectors = np.stack([inputs.vectors.rows(layer, chosen).astype(np.float64) for layer in layers])
    drawn = halves(inputs.component[chosen], section.resamples, section.seed)
    rows = []
    for name, one in BETWEEN.items():
        value = one.function(vectors)
        resampled = np.array([one.function(vectors[:, half]) for half in drawn]).reshape(-1, *value.shape)
        low, high = interval(value, resampled, section.confidence, one.span)
        for at, other in zip(*np.tril_indices(len(layers), k=-1)):
            bounds = {"value": value[at, other], "low": low[at, other], "high": high[at, other]}
            names = {"level": "layers", "measure": name, "layer": layers[at], "other": layers[other]}
            sizes = {"sentences": len(chosen), "dim": vectors.shape[2]}
            rows.append(names | bounds | sizes)
    return rows


def _table(rows: list[dict], inputs: Inputs) -> pl.DataFrame:
    """Rows -> MEASURED, with null for what is undefined."""
    schema = geometry.polars_schema(geometry.MEASURED)
    table = pl.DataFrame([dict.fromkeys(schema) | {"encoder": inputs.encoder} | row for row in rows], schema=schema)
    pooling = pl.when(pl.col("level") != "tokens").then(pl.lit(inputs.vectors.info.pooling))
    return table.with_columns(pl.col("value", "low", "high").fill_nan(None), pooling=pooling)
