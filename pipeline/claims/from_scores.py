"""Evidence from scores and labels: C1, C2, C3, Q1, and how sentence encoders order the pairs (Q3)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from pipeline.claims.curves import Curves, effects
from pipeline.claims.decide import Effects
from pipeline.claims.evidence import BOOTSTRAP, Evidence, Relations, untested
from pipeline.claims.paper import LOOKED_AT, SHALLOW, at_share
from pipeline.claims.remedies import NO_CURVE, NO_ENCODER, NO_OVERLAP, NO_VECTORS, NOT_TUNED
from pipeline.stats.significance import against_zero, holm, minimal_detectable_difference, trend


def of_depth(found: Curves, correlations: pl.DataFrame, related: Relations) -> Iterator[Evidence]:
    """C1, C2, C3 on one split: nothing in them is chosen or learned on train. CORRELATIONS has the slopes."""
    for model in related.models:
        yield shallow(found, model)
        yield from slopes(found, correlations, model)
        yield below_vectors(found, model, related.vectors)


def of_choice(found: Curves, correlations: pl.DataFrame, related: Relations) -> Iterator[Evidence]:
    """Q1 and Q3 on one split, for which train is no split: CORRELATIONS has the layers that were selected there."""
    chosen = selected_layers(correlations)
    for model in related.models:
        yield from tuning(found, model, chosen, related)
        yield from encoders(found, model, chosen, related.encoders)


def selected_layers(correlations: pl.DataFrame) -> dict[str, int]:
    """CORRELATIONS -> {model: the layer with the largest rho on train}, of cosines of uncorrected vectors."""
    rows = correlations.filter("selected", pl.col("layer").is_not_null(), similarity="cosine", correction="none")
    return dict(rows.select("encoder", "layer").iter_rows())


def _compared(  # noqa: PLR0913 - what makes up a comparison
    measure: str,
    found: Curves,
    model: str,
    first: np.ndarray,
    second: np.ndarray,
    layers: Sequence[tuple[int | None, int | None]],
    against: str | None = None,
) -> Evidence:
    """rho of some rows minus that of others."""
    apart = found.apart(first, second)
    shape = (len(apart.value),)
    figures = np.broadcast_to(found.rho[first], shape), np.broadcast_to(found.rho[second], shape)
    return Evidence(
        measure,
        model,
        against=against,
        split=found.split,
        n=found.n,
        effects=effects(apart),
        figures=figures,
        layers=layers,
        test=BOOTSTRAP,
        detectable=found.detectable(first, second),
    )


def shallow(found: Curves, model: str) -> Evidence:
    """C1: the layer at the share of depth of the paper's best, minus each other layer from 1 on."""
    layers = found.layers(model)
    others = [layer for layer in layers if layer >= 1 and layer != at_share(layers, SHALLOW)]
    if not others:
        return untested("shallow_minus_others", model, NO_CURVE, found.split)
    layer = at_share(layers, SHALLOW)
    first, second = found.at(model, [layer]), found.at(model, others)
    return _compared("shallow_minus_others", found, model, first, second, [(layer, other) for other in others])


def slopes(found: Curves, correlations: pl.DataFrame, model: str) -> Iterator[Evidence]:
    """C2: the slope of rho on all layers, as report.md has it, and on those that the paper looked at."""
    rows = correlations.filter(
        "selected", encoder=model, split=found.split, similarity="cosine", correction="none"
    ).filter(pl.col("slope").is_not_null())
    facts: dict[str, Any] = {"split": found.split, "n": found.n, "test": BOOTSTRAP}
    if rows.is_empty():
        yield untested("slope", model, NO_CURVE, found.split)
    else:
        row = rows.row(0, named=True)
        names = ("slope", "slope_low", "slope_high", "slope_p")
        yield Evidence("slope", model, effects=Effects.single(*(_number(row[name]) for name in names)), **facts)
    layers = found.layers(model)
    first, last = (at_share(layers, layer) for layer in LOOKED_AT) if layers else (0, 0)
    seen = [layer for layer in layers if first <= layer <= last]
    if len(seen) < 2:
        yield untested("slope_of_the_first_half", model, NO_CURVE, found.split)
        return
    at = found.at(model, seen)
    steep = trend(np.array(seen, dtype=np.float64), found.rho[at], found.resampled[at], found.confidence)
    ends = found.rho[at[-1:]], found.rho[at[:1]]
    name = "slope_of_the_first_half"
    yield Evidence(name, model, effects=effects(steep), figures=ends, layers=[(last, first)], **facts)


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def below_vectors(found: Curves, model: str, vectors: str | None) -> Evidence:
    """C3: each layer from 1 on, minus averaged word vectors."""
    layers = [layer for layer in found.layers(model) if layer >= 1]
    if not layers or vectors is None or not found.has(vectors):
        why = NO_CURVE if vectors is not None and found.has(vectors) else NO_VECTORS
        return untested("layers_minus_vectors", model, why, found.split)
    first, second = found.at(model, layers), found.at(vectors, [None])
    return _compared(
        "layers_minus_vectors", found, model, first, second, [(layer, None) for layer in layers], against=vectors
    )


def tuning(found: Curves, model: str, chosen: Mapping[str, int], related: Relations) -> Iterator[Evidence]:
    """Q1: a tuned model at its selected layer, and layer by layer; or, of a base, the mean over what is tuned from it.

    A model that is neither has one line, which says so.
    """
    tuned = [name for name, base in related.tuned.items() if base == model and name in chosen]
    if model not in related.tuned:
        if not tuned:
            yield untested("tuned_minus_vectors", model, NOT_TUNED, found.split)
        elif len(tuned) > 1 and model in chosen:
            yield on_average(found, model, tuned, chosen)
        return
    if model not in chosen or not found.has(model, chosen[model]):
        yield untested("tuned_minus_vectors", model, NO_CURVE, found.split)
        return
    layer, base = chosen[model], related.tuned[model]
    own = found.at(model, [layer])
    for measure, other, why in (
        ("tuned_minus_vectors", related.vectors, NO_VECTORS),
        ("tuned_minus_overlap", related.overlap, NO_OVERLAP),
    ):
        if other is None or not found.has(other):
            yield untested(measure, model, why, found.split)
        else:
            yield _compared(measure, found, model, own, found.at(other, [None]), [(layer, None)], against=other)
    if base in chosen and found.has(base, chosen[base]):
        second = found.at(base, [chosen[base]])
        yield _compared("tuned_minus_base", found, model, own, second, [(layer, chosen[base])], against=base)
    shared = [one for one in found.layers(model) if one >= 1 and found.has(base, one)]
    if shared:
        first, second = found.at(model, shared), found.at(base, shared)
        yield _compared(
            "tuned_minus_base_at_each_layer", found, model, first, second, [(one, one) for one in shared], against=base
        )


def on_average(found: Curves, base: str, tuned: Sequence[str], chosen: Mapping[str, int]) -> Evidence:
    """The mean over entries that were tuned from one base, each at its selected layer, minus the base at its own."""
    rows = np.array([found.rows[name, chosen[name]] for name in tuned])
    of_base = found.rows[base, chosen[base]]
    gain = found.rho[rows] - found.rho[of_base]
    drawn = (found.resampled[rows] - found.resampled[of_base]).mean(axis=0)[None]
    return Evidence(
        "tuned_minus_base_on_average",
        base,
        against=", ".join(tuned),
        split=found.split,
        n=found.n,
        effects=effects(against_zero(gain.mean()[None], drawn, found.confidence)),
        figures=(found.rho[rows].mean()[None], found.rho[of_base][None]),
        layers=[(None, chosen[base])],
        test=BOOTSTRAP,
        detectable=minimal_detectable_difference(drawn),
        spread=float(gain.std(ddof=1)),
    )


def encoders(found: Curves, model: str, chosen: Mapping[str, int], names: Sequence[str]) -> Iterator[Evidence]:
    """Q3: each sentence encoder minus the model at its selected layer; Holm over the encoders."""
    known = [name for name in names if found.has(name)]
    if not known or model not in chosen or not found.has(model, chosen.get(model)):
        yield untested("encoder_minus_model", model, NO_CURVE if known else NO_ENCODER, found.split)
        return
    layer = chosen[model]
    second = found.at(model, [layer])
    apart = [
        _compared("encoder_minus_model", found, model, found.at(name, [None]), second, [(None, layer)], against=name)
        for name in known
    ]
    p = holm(np.array([one.effects.p[0] for one in apart if one.effects is not None]))
    for one, adjusted in zip(apart, p, strict=True):
        assert one.effects is not None
        corrected = Effects(one.effects.value, one.effects.low, one.effects.high, adjusted[None], corrected=True)
        yield Evidence(**(vars(one) | {"effects": corrected}))
