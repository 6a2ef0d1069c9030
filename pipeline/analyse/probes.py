"""Scores of probes -> how well they classify on the splits that they were not fitted on, beside what needs no labels.

The layer of each probe is selected by its held-out figure on train. Intervals and tests resample components, the same
for all probes and zero-shot scores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from pipeline.analyse.groups import Group, groups_of
from pipeline.analyse.settings import Correlate
from pipeline.base.progress import progress
from pipeline.formats.probes import Probes
from pipeline.formats.scores import Scores
from pipeline.formats.tables import PROBES, schema_of
from pipeline.stats.bootstrap import bootstrap, interval, stream_seed
from pipeline.stats.components import effective_components
from pipeline.stats.decisions import bootstrap_decisions, decisions
from pipeline.stats.ranks import STATISTICS, is_binary
from pipeline.stats.significance import difference, holm

FLOOR = "measures"
"""the probe that the others are compared with"""
Columns = dict[str, Any]
"""column -> K values"""
CURVE = ["encoder", "probe"]
"""what tells the curves over layers apart"""


@dataclass(frozen=True)
class Split:
    """What K probes and their controls say of the n pairs of a group, and the zero-shot scores of the same layers."""

    group: Group
    own: pl.DataFrame
    """(K rows) what is the same in all splits: encoder, probe, layer, selected ..."""
    scores: np.ndarray
    """(K, n)"""
    controls: np.ndarray
    """(K, n)"""
    zero_shot: np.ndarray
    """(Z, n) Z layers of encoders, each by the correction and similarity with the largest rho on train"""
    layer_of: np.ndarray
    """(K,) the row of zero_shot of each probe"""

    def seed(self, settings: Correlate) -> list[int]:
        """Of the resamples."""
        return stream_seed(settings.seed, self.group.name)


def compare(
    found: Sequence[Probes], pairs: pl.DataFrame, subsets: Mapping[str, Sequence], scores: Scores, settings: Correlate
) -> pl.DataFrame:
    """The probes of all encoders over pairs (C2), and the scores of the same vectors (C5) -> a table of PROBES."""
    filled = [probes for probes in found if len(probes.keys)]
    if not filled:
        return pl.DataFrame(schema=schema_of(PROBES))
    keys = pl.concat([probes.keys.with_columns(encoder=pl.lit(probes.encoder)) for probes in filled])
    of_probes = np.concatenate([probes.scores for probes in filled])  # (2 K, P), each control after its probe
    binary, groups = is_binary(pairs["label"].to_numpy()), groups_of(pairs, subsets)
    own = keys.filter(~pl.col("permuted")).with_columns(metric=pl.lit("accuracy" if binary else "spearman"))
    own = own.with_columns(control_train=keys.filter("permuted")["train"], selected=selected(own))
    names, rows = zero_shot(own, scores, groups["train"])
    own, (zero, layer_of) = own.with_columns(zero_shot=pl.Series(names)), np.unique(rows, return_inverse=True)
    usual, tables = most_frequent(groups["train"].labels), []
    for name, group in progress(groups.items(), "probes", "split"):
        if "train" not in (name, subsets.get(name, [None])[0]):
            of_group = of_probes[:, group.rows]
            without_labels = scores.values[zero][:, group.rows]
            split = Split(group, own, of_group[::2], of_group[1::2], without_labels, layer_of)
            columns = facts_of(group, len(own), usual if binary else None)
            columns |= classified(split, settings) if binary else graded(split, settings)
            tables.append(pl.concat([own, pl.DataFrame(columns)], how="horizontal"))
    table, columns = pl.concat(tables), schema_of(PROBES)
    missing = [pl.lit(None).alias(name) for name in columns if name not in table.columns]
    ordered = table.with_columns(missing).select(pl.col(name).cast(kind) for name, kind in columns.items())
    return ordered.with_columns(pl.selectors.float().fill_nan(None))


def selected(keys: pl.DataFrame) -> pl.Series:
    """Of K probes (encoder, probe, held_out), whether each is the layer with the largest held-out figure of its encoder
    and kind; of equals the first.
    """
    best = pl.col("held_out").arg_max().over(CURVE)
    return keys.select(pl.int_range(pl.len()).over(CURVE) == best).to_series()


def zero_shot(own: pl.DataFrame, scores: Scores, train: Group) -> tuple[list[str], list[int]]:
    """K probes (encoder, layer) -> the score of the same layer with the largest rho on train: its name, and its row."""
    best: dict[tuple, tuple[float, str, int]] = {}
    keys = scores.keys.select("encoder", "layer", "correction", "similarity")
    for row, (encoder, layer, correction, similarity) in enumerate(keys.iter_rows()):
        rho = STATISTICS["spearman"](scores.values[row, train.rows], train.labels)
        name = similarity if correction in (None, "none") else f"{correction} {similarity}"
        on_train = -np.inf if rho is None else rho
        if (encoder, layer) not in best or on_train > best[encoder, layer][0]:
            best[encoder, layer] = (on_train, name, row)
    chosen = [best[key] for key in own.select("encoder", "layer").iter_rows()]
    return [name for _, name, _ in chosen], [row for _, _, row in chosen]


def most_frequent(labels: np.ndarray) -> float:
    """The most frequent of some labels, of equals the smallest."""
    values, counts = np.unique(labels, return_counts=True)
    return float(values[np.argmax(counts)])


def facts_of(group: Group, count: int, usual: float | None) -> Columns:
    """The columns that are the same for all probes of a group; `usual`: the most frequent 0/1 label of train."""
    effective = effective_components(group.component)
    majority = None if usual is None else float(np.mean(group.labels == usual))
    facts = {"split": group.name, "n": len(group.labels), "effective_components": effective, "majority": majority}
    return {name: [value] * count for name, value in facts.items()}


def classified(split: Split, settings: Correlate) -> Columns:
    """What is said of probes of 0/1 labels, whose scores are above 0 for label 1."""
    labels, count = split.group.labels, len(split.own)
    positive, once = np.concatenate([split.scores, split.controls]) > 0, np.ones((len(labels), 1))
    values = {name: figure[:, 0] for name, figure in decisions(positive, labels, once).items()}
    drawn = bootstrap_decisions(positive, labels, split.group.component, settings.resamples, split.seed(settings))
    columns: Columns = {}
    for name in ("accuracy", "f1"):
        columns |= with_interval(name, values[name][:count], drawn[name][:count], settings.confidence)
    columns |= ranked(split, split.scores, ("auc", "spearman"), settings)[0]
    return columns | compared(values["accuracy"], drawn["accuracy"], split.own, settings.confidence)


def graded(split: Split, settings: Correlate) -> Columns:
    """What is said of probes of grades, whose scores are predictions."""
    both = np.concatenate([split.scores, split.controls])
    columns, rho, drawn = ranked(split, both, ("spearman",), settings)
    return columns | compared(rho, drawn, split.own, settings.confidence)


def ranked(
    split: Split, scores: np.ndarray, statistics: Sequence[str], settings: Correlate
) -> tuple[Columns, np.ndarray, np.ndarray]:
    """Statistics of scores whose first K rows are the probes, beside those of the zero-shot scores -> columns, and rho
    of all rows of scores with its resamples.

    `gain` is rho of a probe minus that of the zero-shot score; its p has Holm's correction over the layers of a curve.
    """
    group, count, confidence = split.group, len(split.own), settings.confidence
    rows = np.concatenate([scores, split.zero_shot])
    drawn = bootstrap(rows, group.labels, group.component, settings.resamples, split.seed(settings), statistics)
    columns: Columns = {}
    values = {
        name: np.array([STATISTICS[name](row, group.labels) for row in rows], dtype=np.float64) for name in statistics
    }
    for name in statistics:
        columns |= with_interval(name, values[name][:count], drawn[name][:count], confidence)
        columns[f"zero_shot_{name}"] = values[name][len(scores) :][split.layer_of]
    resampled = drawn["spearman"]
    without = resampled[len(scores) :][split.layer_of]
    found = difference(columns["spearman"], columns["zero_shot_spearman"], resampled[:count], without, confidence)
    p = np.empty(count)
    curves = split.own.with_row_index("row").group_by(CURVE, maintain_order=True).agg("row")["row"]
    for curve in curves.to_list():
        p[curve] = holm(found.p[curve])
    columns |= {"gain": found.value, "gain_low": found.low, "gain_high": found.high, "gain_p": p}
    return columns, values["spearman"][: len(scores)], resampled[: len(scores)]


def with_interval(name: str, values: np.ndarray, resampled: np.ndarray, confidence: float) -> Columns:
    """A statistic (K,) and its interval from resamples (K, B)."""
    low, high = interval(resampled, confidence)
    return {name: values, f"{name}_low": low, f"{name}_high": high}


def compared(values: np.ndarray, drawn: np.ndarray, own: pl.DataFrame, confidence: float) -> Columns:
    """The probes against their controls, and the selected ones against word overlap's: the metric of K probes, then of
    their controls (2 K,), and the same in resamples (2 K, B). p has Holm's correction.
    """
    count = len(own)
    columns = {"control": values[count:]}
    columns |= with_interval("selectivity", values[:count] - values[count:], drawn[:count] - drawn[count:], confidence)
    is_floor = (own["probe"] == FLOOR).to_numpy()
    if is_floor.any():
        floor, rows = int(np.argmax(is_floor)), np.flatnonzero(own["selected"].to_numpy() & ~is_floor)
        found = difference(values[rows], values[floor], drawn[rows], drawn[[floor]], confidence)
        names = ("difference", "difference_low", "difference_high", "p")
        for name, of_selected in zip(names, (found.value, found.low, found.high, holm(found.p))):
            columns[name] = np.full(count, np.nan)
            columns[name][rows] = of_selected
    return columns
