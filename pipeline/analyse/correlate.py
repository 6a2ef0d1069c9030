"""Scores -> how well they follow the labels: every encoder, layer and similarity on every split, with intervals.

The layer of each encoder is selected here, once, by rho on train: what is reported on the other splits was not chosen
there.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from pipeline.analyse.groups import Group, groups_of
from pipeline.analyse.settings import Correlate
from pipeline.base.progress import progress
from pipeline.formats import splits
from pipeline.formats.names import encoder_name
from pipeline.formats.scores import KEYS, Scores
from pipeline.formats.tables import CORRELATIONS, schema_of
from pipeline.stats.bootstrap import bootstrap, interval, rows_at_once, stream_seed
from pipeline.stats.components import effective_components
from pipeline.stats.ranks import STATISTICS, ceiling, is_binary, tied_share

CURVE = [key for key in KEYS if key != "layer"]
"""what tells the curves over layers apart"""
COMPUTED = [
    *("name", *KEYS, "selected", "split", "n", "components", "effective_components", "positives"),
    *(f"{name}{end}" for name in STATISTICS for end in ("", "_low", "_high")),
    *("ceiling", "spearman_of_ceiling", "ties", "resamples"),
]
"""the columns of CORRELATIONS that are computed here; those of `infer` follow"""


@dataclass(frozen=True)
class Correlations:
    """What `correlate` computes of K combinations of encoder, pooling, correction, layer and similarity."""

    table: pl.DataFrame
    """a row for each group of pairs and combination, with the columns COMPUTED"""
    keys: pl.DataFrame
    """(K rows) KEYS of the combinations"""
    scores: np.ndarray
    """(K, P) in the order of pair_id"""
    selected: np.ndarray
    """(K,) bool: the layer with the largest rho on train; true for encoders without layers"""
    groups: dict[str, Group]
    """splits and subsets of the pairs"""
    chosen_on: str
    """the group that layers are selected on"""
    rho: dict[str, np.ndarray]
    """group -> (K,) Spearman's rho, NaN where it is undefined"""
    resampled: dict[str, np.ndarray]
    """group -> (K, resamples) of rho"""


def correlate(
    scores: Scores, pairs: pl.DataFrame, subsets: Mapping[str, Sequence], settings: Correlate
) -> Correlations:
    """The scores of C5 -> correlations with the labels of pairs (C2)."""
    keys, matrix = scores.keys, scores.values
    groups, chosen_on = groups_of(pairs, subsets), splits.chosen_on(pairs.sort("pair_id")["split"])
    columns, rho, resampled = {}, {}, {}
    for name, group in progress(groups.items(), "correlate", "split"):
        values = resampled_in_parts(matrix, group, settings)
        columns[name] = statistics_of((row[group.rows] for row in matrix), group, values, settings.confidence)
        rho[name], resampled[name] = columns[name]["spearman"], values["spearman"]
    selected = select(keys, rho, chosen_on)
    names = [encoder_name(*row) for row in keys.select("encoder", "pooling", "correction", "similarity").iter_rows()]
    leading = keys.with_columns(pl.Series("name", names), pl.Series("selected", selected))
    types = {name: kind for name, kind in schema_of(CORRELATIONS).items() if name in COMPUTED}
    tables = [
        pl.concat([leading, pl.DataFrame(values, nan_to_null=True)], how="horizontal").select(
            pl.col(name).cast(kind) for name, kind in types.items()
        )
        for values in columns.values()
    ]
    return Correlations(pl.concat(tables), keys, matrix, selected, groups, chosen_on, rho, resampled)


def resampled_in_parts(scores: np.ndarray, group: Group, settings: Correlate) -> dict[str, np.ndarray]:
    """`bootstrap` of a group of pairs: scores (K, P) -> {statistic: (K, resamples)}; of as many rows at once as it
    takes itself, so that no other copy of them is held.
    """
    step, seed = rows_at_once(len(group.rows)), stream_seed(settings.seed, group.name)
    parts = [
        bootstrap(scores[start : start + step][:, group.rows], group.labels, group.component, settings.resamples, seed)
        for start in range(0, len(scores), step)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in STATISTICS}


def statistics_of(
    scores: Iterable[np.ndarray], group: Group, resampled: Mapping[str, np.ndarray], confidence: float
) -> dict[str, Any]:
    """The columns of one group of pairs: K rows of scores (n,), {statistic: (K, resamples)} -> {column: K values}."""
    labels, count = group.labels, len(resampled["spearman"])
    measures = STATISTICS | {"ties": lambda row, _: tied_share(row)}
    of_rows = [[measure(row, labels) for measure in measures.values()] for row in scores]
    measured = dict(zip(measures, np.array(of_rows, dtype=np.float64).T))  # None becomes NaN
    columns: dict[str, Any] = {
        "split": [group.name] * count,
        "n": np.full(count, len(labels)),
        "components": np.full(count, len(np.unique(group.component))),
        "effective_components": np.full(count, effective_components(group.component)),
        "positives": np.full(count, labels.mean() if is_binary(labels) else np.nan),
    }
    for name in STATISTICS:
        columns[name] = measured[name]
        columns[f"{name}_low"], columns[f"{name}_high"] = interval(resampled[name], confidence)
    columns["ceiling"] = np.full(count, ceiling(labels))
    columns["spearman_of_ceiling"] = columns["spearman"] / columns["ceiling"]
    columns["ties"] = measured["ties"]
    columns["resamples"] = np.isfinite(resampled["spearman"]).sum(axis=1)
    return columns


def curves_of(keys: pl.DataFrame) -> list[np.ndarray]:
    """The rows of each curve: combinations that differ in nothing but the layer, in the order of their first rows."""
    grouped = keys.with_row_index("row").group_by(CURVE, maintain_order=True).agg("row")
    return [np.array(rows) for rows in grouped["row"].to_list()]


def select(keys: pl.DataFrame, rho: Mapping[str, np.ndarray], chosen_on: str) -> np.ndarray:
    """The layer of each curve whose rho is largest on `chosen_on`: KEYS (K rows), {group: (K,)} -> (K,) bool.

    A layer whose rho is undefined in some group, for want of scores that differ, is no choice where there is another.
    """
    defined = np.all([np.isfinite(values) for values in rho.values()], axis=0)
    on_train = np.where(np.isfinite(rho[chosen_on]), rho[chosen_on], -np.inf)
    selected = np.zeros(len(keys), dtype=bool)
    for rows in curves_of(keys):
        candidates = rows[defined[rows]] if defined[rows].any() else rows
        selected[candidates[np.argmax(on_train[candidates])]] = True
    return selected


def metrics(table: pl.DataFrame, dataset: str, chosen_on: str, split: str) -> dict[str, Any]:
    """The dictionary of results/metrics.json, the headline of a study: of each encoder at its selected layer, rho on a
    split, the layer, and the difference from the reference. What is undefined is left out.
    """
    rows = table.filter("selected", split=split)
    names = rows["name"].str.replace_all(" ", "-").to_list()
    columns = {"rho": "spearman", "layer": "layer", "difference": "difference"}
    figures = {
        name: {encoder: value for encoder, value in zip(names, rows[column].to_list()) if value is not None}
        for name, column in columns.items()
        if column in rows.columns
    }
    return {"dataset": dataset, "split": split, "layer_selected_on": chosen_on} | figures
