"""What the correlations allow us to say: bands over layers, slopes, differences from the best and from a reference, and
0/1 decisions.
"""

from collections.abc import Iterable

import numpy as np
import polars as pl

from pipeline.analyse.correlate import COMPUTED, Correlations, curves_of
from pipeline.analyse.groups import Group
from pipeline.analyse.settings import Correlate
from pipeline.base.errors import InputError, did_you_mean
from pipeline.formats.tables import CORRELATIONS
from pipeline.stats.bands import simultaneous
from pipeline.stats.best import below_best
from pipeline.stats.bootstrap import bootstrap, interval, stream_seed
from pipeline.stats.components import FEWEST, effective_components
from pipeline.stats.delong import delong, delong_test
from pipeline.stats.partial import partial_from, partial_spearman
from pipeline.stats.ranks import is_binary
from pipeline.stats.significance import difference, holm, minimal_detectable_difference, pairs_needed, trend
from pipeline.stats.thresholds import threshold_metrics

INFERRED = [name for name in CORRELATIONS if name not in COMPUTED]
"""the columns of CORRELATIONS that are computed here"""
DECISIONS = ("accuracy", "f1", "balanced_accuracy", "mcc")

Columns = dict[str, np.ndarray]


def infer(correlations: Correlations, settings: Correlate) -> pl.DataFrame:
    """The table of `correlate` with the columns INFERRED, null where they do not apply: all of CORRELATIONS.

    Everything resampled shares the resamples of the table's own intervals. Each kind of p-value is Holm's over the
    encoders of a split, but for those of the best, which allow for all pairs by themselves. Bands are in every row with
    a layer; all else is in the rows of selected layers only.
    InputError when no encoder is called like the reference.
    """
    chosen = np.flatnonzero(correlations.selected)
    compared = _reference_first(correlations, chosen, settings.reference)
    has_layer = correlations.keys["layer"].is_not_null().to_numpy()
    curves = [rows for rows in curves_of(correlations.keys) if has_layer[rows[0]]]
    of_curves = np.array([rows[correlations.selected[rows]][0] for rows in curves], dtype=np.intp)
    layers = correlations.keys["layer"].cast(pl.Float64).to_numpy()
    train = correlations.groups[correlations.chosen_on]
    tables = []
    for name, group in correlations.groups.items():
        rho, resampled = correlations.rho[name], correlations.resampled[name]
        columns = {column: np.full(len(rho), np.nan) for column in INFERRED}
        _put(columns, slice(None), bands(curves, rho, resampled, settings.confidence))
        _put(columns, of_curves, slopes([(layers[r], rho[r], resampled[r]) for r in curves], settings.confidence))
        _put(columns, chosen, from_best(rho[chosen], resampled[chosen], settings.confidence))
        _put(columns, chosen, decisions((correlations.scores[row] for row in chosen), train, group))
        if len(compared) > 1:
            scores = correlations.scores[compared][:, group.rows]
            _put(columns, compared[1:], against(scores, group, rho[compared], resampled[compared], settings))
        tables.append(pl.DataFrame(columns, nan_to_null=True))
    return pl.concat([correlations.table, pl.concat(tables)], how="horizontal")


def _put(columns: Columns, rows: np.ndarray | slice, values: Columns) -> None:
    for name, column in values.items():
        columns[name][rows] = column


def _reference_first(correlations: Correlations, chosen: np.ndarray, reference: str | None) -> np.ndarray:
    """The selected rows with that of the reference first; none where nothing is compared."""
    if reference is None:
        return chosen[:0]
    first = correlations.table.head(len(correlations.keys))  # the rows of one group
    names = first["name"].gather(chosen).to_list()
    if reference not in names:
        raise InputError(
            f"correlate.reference is {reference!r}: {did_you_mean(reference, names)}, or null to compare none"
        )
    place = names.index(reference)
    return np.append(chosen[place], np.delete(chosen, place))


def bands(curves: list[np.ndarray], rho: np.ndarray, resampled: np.ndarray, confidence: float) -> Columns:
    """`simultaneous` over each curve: row numbers of each, rho (K,), resampled (K, B) -> {column: (K,)}."""
    low, high = np.full((2, len(rho)), np.nan)
    for rows in curves:
        low[rows], high[rows] = simultaneous(rho[rows], resampled[rows], confidence)
    return {"spearman_band_low": low, "spearman_band_high": high}


def slopes(curves: list[tuple[np.ndarray, np.ndarray, np.ndarray]], confidence: float) -> Columns:
    """`trend` of C curves: layers (L,), rho (L,), resampled (L, B) of each -> {column: (C,)}; p is Holm's over them."""
    estimates = [trend(*curve, confidence) for curve in curves]
    columns = {
        "slope": [estimate.value for estimate in estimates],
        "slope_low": [estimate.low for estimate in estimates],
        "slope_high": [estimate.high for estimate in estimates],
        "slope_p": [estimate.p for estimate in estimates],
    }
    arrays = {name: np.array(values).reshape(len(curves)) for name, values in columns.items()}
    return arrays | {"slope_p": holm(arrays["slope_p"])}


def from_best(rho: np.ndarray, resampled: np.ndarray, confidence: float) -> Columns:
    """`below_best` of K encoders at their selected layers: rho (K,), resampled (K, B) -> {column: (K,)}."""
    found = below_best(rho, resampled, confidence)
    figures = {"": found.value, "_low": found.low, "_high": found.high, "_p": found.p, "_detectable": found.detectable}
    return {f"below_best{end}": column for end, column in figures.items()}


def against(scores: np.ndarray, group: Group, rho: np.ndarray, resampled: np.ndarray, settings: Correlate) -> Columns:
    """Encoders 1 to K against encoder 0: scores (1 + K, n), rho (1 + K,), resampled (1 + K, B) -> {column: (K,)}.

    p-values are Holm's over the K. AUCs are compared where there are FEWEST components and each label is in two.
    """
    others, reference = scores[1:], scores[0]
    apart = difference(rho[1:], rho[:1], resampled[1:], resampled[:1], settings.confidence)
    columns = {
        "difference": apart.value,
        "difference_low": apart.low,
        "difference_high": apart.high,
        "difference_p": holm(apart.p),
        "detectable": minimal_detectable_difference(resampled[1:] - resampled[:1]),
        "pairs_needed": pairs_needed(resampled[1:] - resampled[:1], len(group.rows)),
        "partial": partial_spearman(others, group.labels, reference),
    }
    seed = stream_seed(settings.seed, group.name)  # the resamples that rho has
    with_reference = bootstrap(others, reference, group.component, settings.resamples, seed, ["spearman"])["spearman"]
    partial = partial_from(resampled[1:], with_reference, resampled[:1])
    columns["partial_low"], columns["partial_high"] = interval(partial, settings.confidence)
    if effective_components(group.component) >= FEWEST and _in_two_components_each(group):
        auc, covariance = delong(scores, group.labels, group.component)
        columns["auc_difference"] = auc[1:] - auc[0]
        columns["auc_difference_p"] = holm(delong_test(auc, covariance).p[1:, 0])
    return columns


def _in_two_components_each(group: Group) -> bool:
    """Whether labels are 0 and 1, and each is in two components at least."""
    if not is_binary(group.labels):
        return False
    return all(len(np.unique(group.component[group.labels == label])) > 1 for label in (0, 1))


def decisions(scores: Iterable[np.ndarray], train: Group, group: Group) -> Columns:
    """`threshold_metrics` of K encoders: K rows of scores (P,) -> {column: (K,)}; nothing for graded labels."""
    if not (is_binary(train.labels) and is_binary(group.labels)):
        return {}
    metrics = [threshold_metrics(row[train.rows], train.labels, row[group.rows], group.labels) for row in scores]
    return {name: np.array([getattr(of_row, name) for of_row in metrics]) for name in DECISIONS}
