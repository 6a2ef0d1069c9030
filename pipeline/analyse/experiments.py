"""Scores of several experiments on the same pairs -> which encoders order them better in one than in another."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from pipeline.analyse.settings import Correlate
from pipeline.base.errors import InputError, one_of
from pipeline.formats.names import encoder_name
from pipeline.formats.scores import Scores
from pipeline.formats.splits import chosen_on
from pipeline.stats.bootstrap import bootstrap, stream_seed
from pipeline.stats.ranks import spearman_rows
from pipeline.stats.significance import difference, holm

SAME_PAIR = ["split", "sentence1", "sentence2", "label", "occurrence"]
"""what two experiments must agree on for a pair to be the same in both"""
SCHEMA = {
    **{"experiment": pl.String, "encoder": pl.String, "layer": pl.Int32, "against": pl.String},
    **{"against_encoder": pl.String, "against_layer": pl.Int32, "split": pl.String, "n": pl.Int64},
    **{"spearman": pl.Float64, "against_spearman": pl.Float64, "difference": pl.Float64},
    **{"difference_low": pl.Float64, "difference_high": pl.Float64, "p": pl.Float64},
}
"""columns of `compare`: rho at the layer that train chose, in an experiment and in the first, and their difference"""


@dataclass(frozen=True)
class Scored:
    """An experiment: its pairs (C2) with the texts sentence1 and sentence2, and its scores (C5)."""

    name: str
    pairs: pl.DataFrame
    scores: Scores


@dataclass(frozen=True)
class Chosen:
    """An encoder of an experiment at the layer with the largest rho on train."""

    name: str
    """as pages call it"""
    layer: int | None
    scores: np.ndarray
    """(n,) of the pairs that all experiments have"""


def same_pairs(experiments: Sequence[Scored]) -> list[np.ndarray]:
    """Row numbers of the pairs that all experiments have, (n,) for each, in the order of the first.

    A pair is the same where split, both texts and label are; one that occurs twice is so the first and the second time.
    InputError where they share none.
    """
    tables = []
    for number, experiment in enumerate(experiments):
        keyed = experiment.pairs.sort("pair_id").with_columns(
            pl.int_range(pl.len()).over(SAME_PAIR[:-1]).alias("occurrence")
        )
        tables.append(keyed.select(*SAME_PAIR, pl.col("pair_id").alias(f"row_{number}")))
    joined = tables[0]
    for table in tables[1:]:
        joined = joined.join(table, on=SAME_PAIR, how="inner", maintain_order="left")
    if joined.is_empty():
        raise InputError(
            f"{', '.join(one.name for one in experiments)} have no pair in common: they are of other "
            "data sets, splits or labels"
        )
    return [joined[f"row_{number}"].to_numpy() for number in range(len(experiments))]


def chosen(experiment: Scored, rows: np.ndarray, labels: np.ndarray, train: np.ndarray) -> dict[str, Chosen]:
    """Each encoder of an experiment at its best layer on the train pairs: rows (n,), labels (n,), train (n,) bool."""
    keys, values = experiment.scores.keys, experiment.scores.values[:, rows]
    rho = spearman_rows(values[:, train], labels[train])
    best: dict[str, tuple[float, Chosen]] = {}
    for row, key in enumerate(keys.iter_rows(named=True)):
        name = encoder_name(key["encoder"], key["pooling"], key["correction"], key["similarity"])
        reached = rho[row] if np.isfinite(rho[row]) else -np.inf
        if name not in best or reached > best[name][0]:
            best[name] = (reached, Chosen(name, key["layer"], values[row]))
    return {name: one for name, (_, one) in best.items()}


def compare(
    experiments: Sequence[Scored], encoders: Sequence[str | None], settings: Correlate, split: str | None = None
) -> tuple[pl.DataFrame, list[str]]:
    """Every experiment against the first, on the pairs that all have -> a table of SCHEMA, and what is the same.

    encoders: of each experiment one that is compared, None for all whose names both have; an encoder that only one side
    names is looked for in both. Both rho of a row share the resamples of components. p is Holm's over all rows.
    What is the same are encoders whose scores do not differ: nothing is to be tested there.
    InputError for a split or an encoder that is not there.
    """
    rows, first = same_pairs(experiments), experiments[0].pairs.sort("pair_id")
    of_pairs = first[rows[0]]
    labels, splits = of_pairs["label"].to_numpy(), of_pairs["split"].to_numpy()
    on = one_of(split or splits[-1], dict.fromkeys(splits), "--split")
    train, test = splits == chosen_on(of_pairs["split"]), splits == on
    there = [chosen(one, here, labels, train) for one, here in zip(experiments, rows)]
    found, same = [], []
    for number in range(1, len(experiments)):
        names = (experiments[0].name, experiments[number].name)
        for ours, theirs in _couples(there[0], there[number], encoders[0], encoders[number], names):
            if np.array_equal(ours.scores, theirs.scores):
                same.append(theirs.name if len(experiments) == 2 else f"{theirs.name} of {names[1]}")
            else:
                found.append((*names, ours, theirs))
    table = _tested(found, labels[test], of_pairs["component"].to_numpy()[test], test, settings, on)
    return table, same


def _couples(
    first: dict[str, Chosen], other: dict[str, Chosen], a: str | None, b: str | None, names: tuple[str, str]
) -> Iterator[tuple[Chosen, Chosen]]:
    """Which encoder of the first is compared with which of the other."""
    if a is None and b is None:
        common = [name for name in first if name in other]
        if not common:
            raise InputError(
                f"no encoder is in both {names[0]} ({', '.join(first)}) and {names[1]} ({', '.join(other)}): say which "
                f"two, such as {names[0]}:{next(iter(first))} {names[1]}:{next(iter(other))}"
            )
        yield from ((first[name], other[name]) for name in common)
        return
    yield (
        first[one_of(a or b, first, f"the encoder of {names[0]}")],
        other[one_of(b or a, other, f"the encoder of {names[1]}")],
    )


def _tested(
    couples: Sequence[tuple[str, str, Chosen, Chosen]],
    labels: np.ndarray,
    component: np.ndarray,
    test: np.ndarray,
    settings: Correlate,
    split: str,
) -> pl.DataFrame:
    """The differences of couples on one split: labels and component (m,), test (n,) bool -> a table of SCHEMA."""
    if not couples:
        return pl.DataFrame(schema=SCHEMA)
    scores = np.stack([one.scores[test] for *_, ours, theirs in couples for one in (theirs, ours)])
    rho = spearman_rows(scores, labels)
    seed = stream_seed(settings.seed, split)
    resampled = bootstrap(scores, labels, component, settings.resamples, seed, ["spearman"])["spearman"]
    apart = difference(rho[::2], rho[1::2], resampled[::2], resampled[1::2], settings.confidence)
    columns: dict[str, Any] = {
        "experiment": [names[1] for *names, _, _ in couples],
        "encoder": [theirs.name for *_, theirs in couples],
        "layer": [theirs.layer for *_, theirs in couples],
        "against": [names[0] for *names, _, _ in couples],
        "against_encoder": [ours.name for *_, ours, _ in couples],
        "against_layer": [ours.layer for *_, ours, _ in couples],
        "split": split,
        "n": len(labels),
        "spearman": rho[::2],
        "against_spearman": rho[1::2],
        "difference": apart.value,
        "difference_low": apart.low,
        "difference_high": apart.high,
        "p": holm(apart.p),
    }
    return pl.DataFrame(columns, schema=SCHEMA, nan_to_null=True)
