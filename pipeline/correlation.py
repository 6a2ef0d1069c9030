"""How well scores order pairs as their labels do: Spearman, Pearson and AUC, with intervals by a bootstrap over components.

Pairs that share sentences are not independent, so whole components (contract C2) are drawn with replacement. Each split has
its own stream of resamples, the same for every encoder, so that later differences between encoders are paired.
"""

import zlib
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import stats

from pipeline import splits
from pipeline.params import at_least

CELLS = 1 << 19  # pairs times resamples that are held at once: arrays of 4 MB stay in the cache


@dataclass(frozen=True)
class Correlate:
    """Section `correlate` of params.yaml."""

    resamples: int
    """bootstrap resamples"""
    confidence: float
    """coverage of the intervals"""
    seed: int
    """seed of the resamples"""
    reference: str | None = None
    """the encoder that all others are compared with, by its name in the report, such as `overlap dice`; null compares none"""

    def __post_init__(self):
        if self.resamples < 100:
            raise ValueError(f"correlate.resamples is {self.resamples}, expected at least 100: a percentile of fewer means nothing")
        at_least("correlate", self, seed=0)
        if not 0.5 <= self.confidence < 1:
            raise ValueError(f"correlate.confidence is {self.confidence}, expected 0.5 to 1 (0.95 for 95 %)")


def spearman(scores, labels):
    """Spearman's rho with midranks for ties (SciPy); None where all scores are equal, such as those of last tokens that are all "."."""
    return None if np.ptp(scores) == 0 else float(stats.spearmanr(scores, labels).statistic)


def pearson(scores, labels):
    """Pearson's r (SciPy); None where all scores are equal."""
    return None if np.ptp(scores) == 0 else float(stats.pearsonr(scores, labels).statistic)


def auc(scores, labels):
    """Probability that a positive pair scores above a negative one, ties counting half (Mann-Whitney U); None for graded labels."""
    if not is_binary(labels):
        return None
    ones = int(labels.sum())
    return float((stats.rankdata(scores)[labels == 1].sum() - ones * (ones + 1) / 2) / (ones * (len(labels) - ones)))


def is_binary(labels):
    """Whether labels are 0 and 1 rather than grades."""
    return set(np.unique(labels)) <= {0.0, 1.0}


STATISTICS = {"spearman": spearman, "pearson": pearson, "auc": auc}

KEYS = ["encoder", "pooling", "correction", "layer", "similarity"]  # what tells the scores of C5 apart
TYPES = dict.fromkeys(KEYS, pl.String) | {"layer": pl.Int32, "split": pl.String, "positives": pl.Float64}
TYPES |= dict.fromkeys(("difference", "difference_low", "difference_high", "difference_p"), pl.Float64)  # `inference.compare` adds them
TYPES |= {f"{name}{end}": pl.Float64 for name in STATISTICS for end in ("", "_low", "_high")}  # also where all are null


def ceiling(labels):
    """The largest rho that scores without ties can reach: sqrt(1 - sum_g (t_g^3 - t_g) / (n^3 - n)) over groups of t_g equal
    labels. For 0/1 labels with a share p of positives this is sqrt(3 p (1 - p)) up to 1 / n^2."""
    n, groups = len(labels), np.unique(labels, return_counts=True)[1].astype(np.float64)
    return float(np.sqrt(1 - (groups**3 - groups).sum() / (float(n) ** 3 - n)))


def tied(scores):
    """Share of pairs whose score another pair has too."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    return float((counts[inverse] > 1).mean())


def resample_weights(component, resamples, rng):
    """How often each pair occurs in each resample of components: component of each pair (n,) -> (n, resamples) float64."""
    names, where = np.unique(component, return_inverse=True)
    drawn = rng.integers(0, len(names), size=(resamples, len(names))) + np.arange(resamples)[:, None] * len(names)
    counts = np.bincount(drawn.ravel(), minlength=resamples * len(names)).reshape(resamples, -1)
    return np.ascontiguousarray(counts.T[where], dtype=np.float64)


def weighted_midranks(values, weights):
    """Midranks, less one half, of values (n,) that occur as often as weights (n, B) say -> (n, B)."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    taken = weights[order]
    groups = taken if len(starts) == len(values) else np.add.reduceat(taken, starts, axis=0)
    middle = groups.cumsum(axis=0)
    middle -= groups / 2
    ranks = np.empty_like(weights)
    ranks[order] = middle if len(starts) == len(values) else np.repeat(middle, np.diff(np.append(starts, len(values))), axis=0)
    return ranks


def bootstrap(scores, labels, component, resamples, seed):
    """Resampled statistics of K score vectors against the same labels, in one vectorised pass in bounded memory.

    scores (K, n), labels (n,), component (n,) -> {statistic: (K, resamples)}, NaN where it is undefined: one label or one
    score only in the resample, AUC of graded labels. Exact: each equals the statistic of the pairs repeated as often as they were drawn.
    """
    rng = np.random.default_rng(seed)
    binary = is_binary(labels)
    found = {name: np.full((len(scores), resamples), np.nan) for name in STATISTICS}
    centred = scores - scores.mean(axis=1, keepdims=True)
    y = labels - labels.mean()
    step = max(1, CELLS // len(labels))
    for start in range(0, resamples, step):
        part = slice(start, min(start + step, resamples))
        weights = resample_weights(component, part.stop - part.start, rng)
        n = weights.sum(axis=0)  # pairs in the resample, (B,)
        with np.errstate(invalid="ignore", divide="ignore"):
            wx, wxx, wxy = centred @ weights, centred**2 @ weights, (centred * y) @ weights  # (K, B)
            wy, wyy = y @ weights, y**2 @ weights  # (B,)
            found["pearson"][:, part] = (wxy - wx * wy / n) / np.sqrt(_spread(wxx, wx**2 / n) * _spread(wyy, wy**2 / n))
            ranks_y = weighted_midranks(labels, weights) - n / 2  # weighted mean 0, (n, B)
            weighted_y = weights * ranks_y
            spread_y = np.einsum("nb,nb->b", weighted_y, ranks_y)
            ones = labels @ weights if binary else None
            for k, one in enumerate(scores):
                ranks = weighted_midranks(one, weights) - n / 2
                spread = np.einsum("nb,nb,nb->b", weights, ranks, ranks)
                shared = np.einsum("nb,nb->b", weighted_y, ranks)
                defined = (spread > 0) & (spread_y > 0)
                found["spearman"][k, part] = np.where(defined, shared / np.sqrt(spread * spread_y), np.nan)
                if binary:  # ranks of labels differ by n / 2 between the two groups, so shared / (n / 2) sums the positives' ranks
                    found["auc"][k, part] = shared / (n / 2) / (ones * (n - ones)) + 0.5
    return found


def _spread(total, share):
    """A weighted sum of squares about the mean, NaN where it is nothing but rounding."""
    spread = total - share
    return np.where(spread > 1e-12 * total, spread, np.nan)


def interval(resampled, confidence):
    """Percentile interval of each row, over the resamples in which it is defined: (K, B) -> K lows and K highs, None where there is none."""
    tail = (1 - confidence) / 2
    bounds = [np.quantile(kept, [tail, 1 - tail]).tolist() if len(kept := row[np.isfinite(row)]) else [None, None] for row in resampled]
    return [list(side) for side in zip(*bounds)]


def correlate(scores, pairs, subsets, params: Correlate):
    """The table of C5 -> one row for each encoder, pooling, correction, layer, similarity and split (or named subset).

    Columns: encoder, pooling, correction, layer, similarity, split, n, components, positives (share; null for graded labels), the
    statistics with _low and _high, ceiling (of rho), spearman_of_ceiling, ties (share), resamples (in which rho is defined).
    Raises ValueError for a score that is not finite.
    """
    if len(bad := scores.filter(~pl.col("score").is_finite() | pl.col("score").is_null())):
        raise ValueError(f"{len(bad)} scores are NaN or infinite, first: {bad.select('pair_id', *KEYS).row(0, named=True)}")
    scores = scores.sort("pair_id", maintain_order=True)
    encoders = scores.select(KEYS).unique(maintain_order=True).sort(KEYS, nulls_last=True)
    by_encoder = scores.partition_by(KEYS, as_dict=True)
    matrix = np.stack([by_encoder[key]["score"].to_numpy() for key in encoders.iter_rows()])  # (K, pairs), columns by pair_id
    pairs = pairs.sort("pair_id")
    tables = []
    for split, rows in splits.groups(pairs, subsets).items():
        labels, component = (pairs[column].to_numpy()[rows] for column in ("label", "component"))
        part = matrix[:, rows]
        resampled = bootstrap(part, labels, component, params.resamples, [params.seed, zlib.crc32(split.encode())])
        columns = {"split": [split], "n": [len(labels)], "components": [len(np.unique(component))]}
        columns["positives"] = [float(labels.mean()) if is_binary(labels) else None]
        for name, statistic in STATISTICS.items():
            low, high = interval(resampled[name], params.confidence)
            columns |= {name: [statistic(one, labels) for one in part], f"{name}_low": low, f"{name}_high": high}
        columns["ceiling"] = [ceiling(labels)]
        columns["ties"] = [tied(one) for one in part]
        columns["resamples"] = np.isfinite(resampled["spearman"]).sum(axis=1).tolist()
        values = {name: column * len(part) if len(column) == 1 else column for name, column in columns.items()}
        tables.append(pl.concat([encoders, pl.DataFrame(values, schema_overrides=TYPES)], how="horizontal"))
    return pl.concat(tables).with_columns((pl.col("spearman") / pl.col("ceiling")).alias("spearman_of_ceiling"))


def selected(table):
    """The rows of each encoder at the layer whose rho is largest on train (on the first split where there is no train), so
    that what is reported on the other splits was not chosen there. Encoders without layers keep their only row."""
    names = [key for key in KEYS if key != "layer"]
    chosen_on = splits.chosen_on(table["split"])
    everywhere = pl.col("spearman").is_not_null().all().over([*names, "layer"])  # a layer of equal scores somewhere is no choice
    best = table.with_columns(everywhere.alias("defined")).filter(pl.col("split") == chosen_on)
    best = best.sort("defined", "spearman", descending=True, nulls_last=True, maintain_order=True)
    best = best.unique(names, keep="first", maintain_order=True).select(*names, "layer")
    return table.join(best, on=[*names, "layer"], how="inner", nulls_equal=True, maintain_order="left"), chosen_on


def name_of(row, joint=" "):
    """The name of an encoder in tables, pictures and metrics: a measure of its own, a correction, and a similarity that is not the
    cosine belong to it."""
    corrected = [] if row["correction"] in (None, "none") else [row["correction"]]
    return joint.join([row["encoder"], *corrected] + [row["similarity"]] * (not row["pooling"] or row["similarity"] != "cosine"))


def metrics(table, dataset):
    """The small dictionary of results/metrics.json: rho and AUC of each encoder at its selected layer, by split."""
    rows, chosen_on = selected(table)
    found = {"dataset": dataset, "layer_selected_on": chosen_on, "splits": {}}
    for row in rows.iter_rows(named=True):
        entry = {"layer": row["layer"], "spearman": row["spearman"], "auc": row["auc"]}
        found["splits"].setdefault(row["split"], {})[name_of(row, "-")] = {key: value for key, value in entry.items() if value is not None}
    return found
