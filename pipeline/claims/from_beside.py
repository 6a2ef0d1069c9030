"""Evidence from what the DVC projects beside this one measured: cost (C4, C5, Q3), geometry (C6, C7)."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl

from pipeline.claims.decide import Effects
from pipeline.claims.evidence import HALVES, QUARTILES, SINGLE, Evidence, Relations, untested
from pipeline.claims.paper import ENTROPY_AT, LOOKED_AT, SHALLOW, at_share
from pipeline.claims.remedies import NO_ENCODER, NO_GPU, NO_VECTORS
from pipeline.claims.rules import RULES
from pipeline.formats.beside import NOBODY
from pipeline.stats.halves import apart

FAILED = "the measurement failed: {}"
NO_LAYERS = "it was not measured at enough layers"
OTHER_POOLING = "vectors of another pooling were measured"
Reasons = Mapping[str, str]
"""encoder -> why what was measured is not of this study"""


def costs(table: pl.DataFrame, related: Relations, unlike: Reasons) -> Iterator[Evidence]:
    """C4, C5 and the time of sentence encoders, from EFFICIENCY (formats.efficiency)."""
    table = table.filter((pl.col("similarity") == "cosine") | pl.col("error").is_not_null())
    for model in related.models:
        yield from of_time(table, model, related.vectors, unlike)
        yield from of_memory(table, model, related.vectors, unlike)
        if not related.encoders:
            yield untested("encoder_time", model, NO_ENCODER)
        for encoder in related.encoders:
            yield of_encoder(table, model, encoder, unlike)


def _rows(table: pl.DataFrame, encoder: str, unlike: Reasons) -> tuple[list[dict], str]:
    """The rows of an encoder for single pairs, by layer; or none, and why."""
    if encoder in unlike:
        return [], unlike[encoder]
    rows = table.filter(encoder=encoder).sort("layer", nulls_last=True)
    if errors := rows["error"].drop_nulls().to_list():
        return [], FAILED.format(errors[0])
    return list(rows.filter(batch_size=1).iter_rows(named=True)), NOBODY


def _both(
    table: pl.DataFrame, model: str, other: str | None, unlike: Reasons, none: str
) -> tuple[list[dict], list[dict], str]:
    """The rows of a model and of what it is compared with, and what is missing where one of them has none."""
    if other is None:
        return [], [], none
    ours, why = _rows(table, model, unlike)
    others, why_not = _rows(table, other, unlike)
    return ours, others, f"{other}: {why_not}" if ours else why


def _ratio(measure: str, model: str, first: dict, second: dict, against: str) -> Evidence:
    """How many times as long the first takes; its range over the quartiles of both."""
    effects = Effects.single(
        first["ms"] / second["ms"], first["ms_low"] / second["ms_high"], first["ms_high"] / second["ms_low"]
    )
    figures = np.array([first["ms"]]), np.array([second["ms"]])
    facts: dict[str, Any] = {"n": first["pairs"], "layers": [(first["layer"], second["layer"])]}
    return Evidence(measure, model, against=against, effects=effects, figures=figures, test=QUARTILES, **facts)


def of_time(table: pl.DataFrame, model: str, vectors: str | None, unlike: Reasons) -> Iterator[Evidence]:
    """C4: a pair through all blocks, and up to the shallow layer, against word vectors."""
    ours, others, why = _both(table, model, vectors, unlike, NO_VECTORS)
    if not ours or not others:
        yield untested("time", model, why)
        return
    layers = [row["layer"] for row in ours]
    yield _ratio("time", model, ours[-1], others[0], str(vectors))
    near = ours[layers.index(at_share(layers, SHALLOW))]
    yield _ratio("time_to_the_shallow_layer", model, near, others[0], str(vectors))


def of_memory(table: pl.DataFrame, model: str, vectors: str | None, unlike: Reasons) -> Iterator[Evidence]:
    """C5: memory of word vectors / memory of the model, on the GPU and on the host."""
    ours, others, why = _both(table, model, vectors, unlike, NO_VECTORS)
    for measure, column in (("gpu_memory", "gpu_allocated_bytes"), ("memory", "peak_bytes")):
        if not ours or not others:
            yield untested(measure, model, why)
        elif not ours[0][column]:
            yield untested(measure, model, NO_GPU if measure == "gpu_memory" else why)
        else:
            mine, theirs = float(ours[0][column]), float(others[0][column] or 0)
            ratio = theirs / mine
            figures = np.array([theirs]), np.array([mine])
            effects = Effects.single(ratio, ratio, ratio)
            facts: dict[str, Any] = {"n": ours[0]["pairs"], "test": SINGLE}
            yield Evidence(measure, model, against=vectors, effects=effects, figures=figures, **facts)


def of_encoder(table: pl.DataFrame, model: str, encoder: str, unlike: Reasons) -> Evidence:
    """Q3: how many times as long a pair takes through all blocks of the model as with a sentence encoder."""
    ours, others, why = _both(table, model, encoder, unlike, NO_ENCODER)
    if not ours or not others:
        return untested("encoder_time", model, why)
    return _ratio("encoder_time", model, ours[-1], others[0], encoder)


def shapes(
    table: pl.DataFrame, facts: Mapping[str, Any], related: Relations, unlike: Reasons, poolings: Mapping[str, str]
) -> Iterator[Evidence]:
    """C6 and C7, from MEASURED and FACTS (formats.geometry); `poolings` are those of the models' vectors now."""
    measures = facts.get("measures", {})
    entropies = [name for name, one in measures.items() if one["claim"] == "C6"]
    others = [name for name in RULES if RULES[name].claim == "C7" and name in measures]
    for model in related.models:
        if model in unlike or not measures:
            for measure in ("entropy", "signal_to_noise"):
                yield untested(measure, model, unlike.get(model, NOBODY))
            continue
        of_model = table.filter(pl.col("other").is_null(), pl.col("value").is_not_null(), encoder=model)
        for name in [*entropies, *others]:
            rows = of_model.filter(measure=name).sort("layer")
            pooling = rows["pooling"].drop_nulls().unique().to_list()
            at = ENTROPY_AT if name in entropies else LOOKED_AT
            evidence = over_depth(rows, model, name, at, facts["confidence"])
            if pooling and pooling != [poolings.get(model)]:
                evidence = untested(evidence.measure, model, f"{OTHER_POOLING} ({pooling[0]})")
            yield evidence
            if name == "dilution":
                yield carriers(rows, model)


def over_depth(rows: pl.DataFrame, model: str, name: str, at: tuple[int, int], confidence: float) -> Evidence:
    """A measure at the later of two layers of the paper minus that at the earlier one."""
    measure = name if name in RULES else "entropy"
    variant = name if measure == "entropy" else None
    layers = rows["layer"].to_list()
    first, last = (at_share(layers, layer) for layer in at) if layers else (0, 0)
    if first == last:
        return Evidence(measure, model, variant=variant, why=NO_LAYERS)
    earlier, later = (rows.filter(layer=layer).row(0, named=True) for layer in (first, last))
    found = apart(_figures(later), _figures(earlier), confidence)
    return Evidence(
        measure,
        model,
        variant=variant,
        n=later["sentences"],
        layers=[(last, first)],
        effects=Effects(found.value, found.low, found.high, found.p),
        figures=(np.array([later["value"]]), np.array([earlier["value"]])),
        test=HALVES,
    )


def carriers(rows: pl.DataFrame, model: str) -> Evidence:
    """C7: n / m at the last of the paper's layers."""
    layers = rows["layer"].to_list()
    if not layers:
        return untested("few_carriers", model, NO_LAYERS)
    row = rows.filter(layer=at_share(layers, LOOKED_AT[1])).row(0, named=True)
    value, low, high = _figures(row)
    facts: dict[str, Any] = {"n": row["sentences"], "layers": [(row["layer"], None)], "test": HALVES}
    return Evidence("few_carriers", model, effects=Effects.single(value, low, high), **facts)


def _figures(row: Mapping[str, Any]) -> np.ndarray:
    """value, low and high of a row, NaN for what is undefined: (3,)."""
    return np.array([row[name] for name in ("value", "low", "high")], dtype=np.float64)
