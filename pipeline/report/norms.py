"""A warning in report.md where one token of a sentence outweighs all others, so that a mean is little but that one."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from pipeline.formats.norms import POSITIONS, Norms
from pipeline.report.markdown import escaped
from pipeline.report.numbers import share_span, whole_percent

DOMINANT = 0.5
"""a position with more of the squared norm than this outweighs all others together"""
EVEN = DOMINANT / 2
"""where an even share is more than this, sentences are too short to tell"""
NAMES = {"first": "the first", "last": "the last", "other": "one between the first and the last"}


def warnings(norms: Mapping[str, Norms], manifests: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A warning for each model and position that dominates layers which the run averages; nothing where none does."""
    lines = []
    for model, of_model in norms.items():
        for position, layers in dominated(of_model).items():
            lines += [f"> {sentences(model, of_model, position, layers, manifests[model]['keep'])}", ""]
    return lines


def dominated(norms: Norms) -> dict[str, list[int]]:
    """{position that the pooling averages: the layers at which it holds most of the squared norm}."""
    found: dict[str, list[int]] = {}
    for at, layer in enumerate(norms.layers):
        parts = {position: norms.largest[position][at] for position in POSITIONS}
        position = max(parts, key=parts.__getitem__)
        if norms.share[at] > DOMINANT and norms.even < EVEN and position in norms.averaged:
            found.setdefault(position, []).append(layer)
    return found


def sentences(model: str, norms: Norms, position: str, layers: list[int], keep: str) -> str:
    """Which layers, how much, which position, and what to try."""
    shares = [norms.share[norms.layers.index(layer)] for layer in layers]
    where = f"layer{'s' if len(layers) > 1 else ''} {spans(layers)}"
    return (
        f"**One token swamps the mean at {where} of {escaped(model)}.** That token, most often {NAMES[position]}, "
        f"holds {share_span(shares)} of the squared norm of a sentence's states; an even share would be "
        f"{whole_percent(norms.even)}. {remedy(position, keep)}"
    )


def remedy(position: str, keep: str) -> str:
    """Which poolings leave the position out, of those that this kind of dump can give or after another."""
    by_norm = "`skip_outliers`" if keep == "tokens" else "`skip_outliers` with `dump.keep: tokens`"
    return f"Try `pooling: skip_first` or {by_norm}." if position == "first" else f"Try the pooling {by_norm}."


def spans(layers: Iterable[int]) -> str:
    """Layers in words, neighbours together: `1, 4 to 6 and 9`."""
    runs = [[layer for _, layer in run] for _, run in groupby(enumerate(layers), key=lambda pair: pair[1] - pair[0])]
    texts = [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs]
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)
