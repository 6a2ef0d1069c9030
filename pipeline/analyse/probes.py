"""Scores of probes -> how well they classify on the splits that they were not fitted on, beside what needs no labels.

The layer of each probe is selected by its held-out figure on train. Intervals and tests resample components, the same
for all probes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from pipeline.analyse.groups import Group, groups_of
from pipeline.analyse.settings import Correlate
from pipeline.base.progress import progress
from pipeline.formats.probes import Probes
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


def compare(
    found: Sequence[Probes],
    pairs: pl.DataFrame,
    subsets: Mapping[str, Sequence],
    correlations: pl.DataFrame,
    settings: Correlate,
) -> pl.DataFrame:
    """The probes of all encoders over pairs (C2), and CORRELATIONS of the same vectors -> a table of PROBES."""
    filled = [probes for probes in found if len(probes.keys)]
    if not filled:
        return pl.DataFrame(schema=schema_of(PROBES))
    keys = pl.concat([probes.keys.with_columns(encoder=pl.lit(probes.encoder)) for probes in filled])
    scores = np.concatenate([probes.scores for probes in filled])  # (2 K, P), each control after its probe
    binary, groups = is_binary(pairs["label"].to_numpy()), groups_of(pairs, subsets)
    own = keys.filter(~pl.col("permuted")).with_columns(metric=pl.lit("accuracy" if binary else "spearman"))
    own = own.with_columns(control_train=keys.filter("permuted")["train"], selected=selected(own))
    usual, tables = most_frequent(groups["train"].labels), []
    for name, group in progress(groups.items(), "probes", "split"):
        if "train" in (name, subsets.get(name, [None])[0]):
            continue
        of_group = scores[:, group.rows]
        columns = facts_of(group, len(own), usual if binary else None)
        columns |= (classified if binary else graded)(of_group[::2], of_group[1::2], group, own, settings)
        tables.append(pl.concat([own, pl.DataFrame(columns)], how="horizontal"))
    names = ["encoder", "layer", "split"]
    joined = pl.concat(tables, how="diagonal").join(zero_shot(correlations), on=names, how="left", nulls_equal=True)
    columns = schema_of(PROBES)
    missing = [pl.lit(None).alias(name) for name in columns if name not in joined.columns]
    ordered = joined.with_columns(missing).select(pl.col(name).cast(kind) for name, kind in columns.items())
    return ordered.with_columns(pl.selectors.float().fill_nan(None))


def selected(keys: pl.DataFrame) -> pl.Series:
    """Of K probes (encoder, probe, held_out), whether each is the layer with the largest held-out figure of its encoder
    and kind; of equals the first.
    """
    of_curve = ["encoder", "probe"]
    best = pl.col("held_out").arg_max().over(of_curve)
    return keys.select(pl.int_range(pl.len()).over(of_curve) == best).to_series()


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


def classified(
    scores: np.ndarray, controls: np.ndarray, group: Group, own: pl.DataFrame, settings: Correlate
) -> Columns:
    """What is said of K probes of 0/1 labels: scores and those of their controls (K, n), above 0 for label 1."""
    labels, component, seed = group.labels, group.component, stream_seed(settings.seed, group.name)
    positive, once = np.concatenate([scores, controls]) > 0, np.ones((len(labels), 1))
    values = {name: figure[:, 0] for name, figure in decisions(positive, labels, once).items()}
    drawn = bootstrap_decisions(positive, labels, component, settings.resamples, seed)
    ranked = bootstrap(scores, labels, component, settings.resamples, seed, ("auc", "spearman"))
    count = len(scores)
    columns: Columns = {}
    for name in ("accuracy", "f1"):
        columns |= with_interval(name, values[name][:count], drawn[name][:count], settings.confidence)
    for name, resampled in ranked.items():
        columns |= with_interval(name, of_rows(name, scores, labels), resampled, settings.confidence)
    return columns | compared(values["accuracy"], drawn["accuracy"], own, settings.confidence)


def graded(scores: np.ndarray, controls: np.ndarray, group: Group, own: pl.DataFrame, settings: Correlate) -> Columns:
    """What is said of K probes of grades: predictions and those of their controls (K, n)."""
    seed, count, both = stream_seed(settings.seed, group.name), len(scores), np.concatenate([scores, controls])
    rho = of_rows("spearman", both, group.labels)
    drawn = bootstrap(both, group.labels, group.component, settings.resamples, seed, ("spearman",))["spearman"]
    columns = with_interval("spearman", rho[:count], drawn[:count], settings.confidence)
    return columns | compared(rho, drawn, own, settings.confidence)


def of_rows(statistic: str, scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """A statistic of each of K rows of scores (K, n) -> (K,), NaN where it is undefined."""
    return np.array([STATISTICS[statistic](row, labels) for row in scores], dtype=np.float64)


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


def zero_shot(correlations: pl.DataFrame) -> pl.DataFrame:
    """CORRELATIONS -> a row for each encoder, layer and split: its score without a probe, by the correction and
    similarity with the largest rho on train.
    """
    keys = ["encoder", "layer", "correction", "similarity"]
    ordered = correlations.filter(split="train").sort("spearman", descending=True, nulls_last=True, maintain_order=True)
    best = ordered.unique(["encoder", "layer"], keep="first", maintain_order=True).select(keys)
    rows = correlations.join(best, on=keys, how="inner", nulls_equal=True)
    uncorrected = pl.col("correction").fill_null("none") == "none"
    name = pl.when(uncorrected).then("similarity").otherwise(pl.concat_str("correction", pl.lit(" "), "similarity"))
    return rows.select("encoder", "layer", "split", zero_shot=name, zero_shot_spearman="spearman", zero_shot_auc="auc")
