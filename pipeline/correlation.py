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

CELLS = 1 << 18  # pairs times resamples that are held at once: arrays of 2 MB stay in the cache


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
    """Spearman's rho with midranks for ties (SciPy); None where all scores are equal, such as those of last tokens that are all ".", or all labels."""
    return None if np.ptp(scores) == 0 or np.ptp(labels) == 0 else float(stats.spearmanr(scores, labels).statistic)


def pearson(scores, labels):
    """Pearson's r (SciPy); None where all scores or all labels are equal."""
    return None if np.ptp(scores) == 0 or np.ptp(labels) == 0 else float(stats.pearsonr(scores, labels).statistic)


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
TYPES |= {f"{name}{end}": pl.Float64 for name in STATISTICS for end in ("", "_low", "_high")}  # also where all are null
INFERRED = ["spearman_band_low", "spearman_band_high", "slope", "slope_low", "slope_high", "slope_p"]  # what `inference.infer` adds
INFERRED += ["difference", "difference_low", "difference_high", "difference_p", "detectable", "partial", "partial_low", "partial_high"]
INFERRED += ["auc_difference", "auc_difference_p", "accuracy", "f1", "balanced_accuracy", "mcc"]
TYPES |= dict.fromkeys(INFERRED, pl.Float64)


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


def positions(values):
    """Values (n,) -> their order (n,), and for each value how many are smaller (n,), and how many are not larger (n,)."""
    order = np.argsort(values, kind="stable")
    return order, np.searchsorted(values[order], values, "left"), np.searchsorted(values[order], values, "right")


def look_up(counts, place, sums, below, upto):
    """W(<) and W(<=) of each pair: counts (n, B), `positions` of n values -> sums (n + 1, B) filled, below and upto (n, B) filled.

    A running sum waits for one addition after another, so several are done in one: the columns that fill 64 bits are added as one
    number. Nothing is carried from one to the next, since no sum exceeds the type of its column.
    """
    order, smaller, not_larger = place
    np.take(counts, order, axis=0, out=sums[1:], mode="clip")  # "raise" would copy once more
    np.cumsum(sums.view(np.uint64), axis=0, out=sums.view(np.uint64))
    np.take(sums, smaller, axis=0, out=below, mode="clip")
    np.take(sums, not_larger, axis=0, out=upto, mode="clip")


def rank_spread(w, group):
    """Sum of squares of midranks about their mean: weights w (n, B), summed weights of each pair's group of ties (n, B) -> (B,)."""
    group = group.astype(np.float64)
    return (w.sum(axis=0) ** 3 - np.einsum("nb,nb,nb->b", w, group, group)) / 12


def weighted(scores, labels, draw, count):
    """Statistics of the pairs repeated w times each, for `count` choices of whole numbers w at once, in bounded memory.

    scores (K, n), labels (n,), draw(start, stop) -> w (n, stop - start), called from 0 to count -> {statistic: (K, count)}, NaN
    where it is undefined: one label or one score only, AUC of graded labels.

    With W(<) and W(<=) the summed w of the scores below a score and of those not above it, its midrank less 1/2 is r = (W(<) + W(<=)) / 2;
    s is likewise that of its label, less the mean n / 2. Then rho = sum w r s / sqrt(spread of r times spread of s), where a spread
    is (n^3 - sum g^3) / 12 over the summed weights g of groups of ties (Kendall 1945, Biometrika 33): the same for all scores without
    ties. For 0/1 labels, m ones, s takes two values n / 2 apart, so sum w r s = n / 2 m (n - m) (AUC - 1 / 2). All sums are of
    multiples of 1/4 and exact up to some 100,000 pairs.
    """
    n, binary = len(labels), is_binary(labels)
    found = {name: np.full((len(scores), count), np.nan) for name in STATISTICS}
    centred, y = scores - scores.mean(axis=1, keepdims=True), labels - labels.mean()
    squares, of_labels, of_scores = centred**2, positions(labels), [positions(one) for one in scores]
    ties = [bool((not_larger - smaller > 1).any()) for _, smaller, not_larger in of_scores]
    step = min(max(4, CELLS // n // 4 * 4), -(-count // 4) * 4)  # whole words of 64 bits
    w, r = np.zeros((2, n, step))
    for start in range(0, count, step):
        part = slice(start, min(start + step, count))
        here = slice(part.stop - start)  # the last block has columns to spare
        w[:, here] = draw(start, part.stop)
        total = w.sum(axis=0)  # n of the formulas, (B,)
        counts = w.astype(np.uint16 if total.max() < 2**15 else np.uint32)  # W(<) + W(<=) fits in
        sums, below, upto = np.zeros((n + 1, step), counts.dtype), np.empty_like(counts), np.empty_like(counts)
        with np.errstate(invalid="ignore", divide="ignore"):
            wx, wxx, wxy, wy, wyy = centred @ w, squares @ w, centred @ (w * y[:, None]), y @ w, y**2 @ w
            found["pearson"][:, part] = ((wxy - wx * wy / total) / np.sqrt(_spread(wxx, wx**2 / total) * _spread(wyy, wy**2 / total)))[:, here]
            look_up(counts, of_labels, sums, below, upto)
            spread_y, ws = rank_spread(w, upto - below), w * ((below + upto) / 2 - total / 2)
            untied, ones = rank_spread(w, w), labels @ w
            for k, place in enumerate(of_scores):
                look_up(counts, place, sums, below, upto)
                spread_x = rank_spread(w, upto - below) if ties[k] else untied
                np.copyto(r, np.add(below, upto, out=upto))  # twice r
                shared = np.einsum("nb,nb->b", ws, r) / 2
                found["spearman"][k, part] = (shared / np.sqrt(spread_x * spread_y))[here]
                if binary:
                    found["auc"][k, part] = (shared / (total / 2 * ones * (total - ones)) + 0.5)[here]
    return found


def _spread(total, share):
    """A weighted sum of squares about the mean, NaN where it is nothing but rounding."""
    spread = total - share
    return np.where(spread > 1e-12 * total, spread, np.nan)


def bootstrap(scores, labels, component, resamples, seed):
    """Resampled statistics (`weighted`): scores (K, n), labels (n,), component (n,) -> {statistic: (K, resamples)}."""
    rng = np.random.default_rng(seed)
    return weighted(scores, labels, lambda start, stop: resample_weights(component, stop - start, rng), resamples)


def interval(resampled, confidence):
    """Percentile interval of each row, over the resamples in which it is defined: (K, B) -> K lows and K highs, None where there is none."""
    tail = (1 - confidence) / 2
    bounds = [np.quantile(kept, [tail, 1 - tail]).tolist() if len(kept := row[np.isfinite(row)]) else [None, None] for row in resampled]
    return [list(side) for side in zip(*bounds)]


def arranged(scores):
    """The table of C5 -> encoder, pooling, correction, layer and similarity (K rows), and the scores (K, pairs) in the order of pair_id.

    Raises ValueError for a score that is not finite.
    """
    if len(bad := scores.filter(~pl.col("score").is_finite() | pl.col("score").is_null())):
        raise ValueError(f"{len(bad)} scores are NaN or infinite, first: {bad.select('pair_id', *KEYS).row(0, named=True)}")
    keys = scores.select(KEYS).unique(maintain_order=True).sort(KEYS, nulls_last=True)
    by_key = scores.sort("pair_id", maintain_order=True).partition_by(KEYS, as_dict=True)
    return keys, np.stack([by_key[key]["score"].to_numpy() for key in keys.iter_rows()])


def stream(params: Correlate, split):
    """The seed of a split's resamples."""
    return [params.seed, zlib.crc32(split.encode())]


def correlate(scores, pairs, subsets, params: Correlate):
    """The table of `correlate_and_resample` alone."""
    return correlate_and_resample(scores, pairs, subsets, params)[0]


def correlate_and_resample(scores, pairs, subsets, params: Correlate):
    """The table of C5 -> one row for each split (or named subset), encoder, pooling, correction, layer and similarity, in this order;
    and {split: rho (K, resamples)} with a row for each of the table's rows of that split.

    Columns: encoder, pooling, correction, layer, similarity, split, n, components, positives (share; null for graded labels), the
    statistics with _low and _high, ceiling (of rho), spearman_of_ceiling, ties (share), resamples (in which rho is defined).
    Raises ValueError for a score that is not finite.
    """
    keys, matrix = arranged(scores)
    pairs = pairs.sort("pair_id")
    tables, rhos = [], {}
    for split, rows in splits.groups(pairs, subsets).items():
        labels, component = (pairs[column].to_numpy()[rows] for column in ("label", "component"))
        part = matrix[:, rows]
        resampled = bootstrap(part, labels, component, params.resamples, stream(params, split))
        columns = {"split": [split], "n": [len(labels)], "components": [len(np.unique(component))]}
        columns["positives"] = [float(labels.mean()) if is_binary(labels) else None]
        for name, statistic in STATISTICS.items():
            low, high = interval(resampled[name], params.confidence)
            columns |= {name: [statistic(one, labels) for one in part], f"{name}_low": low, f"{name}_high": high}
        columns["ceiling"] = [ceiling(labels)]
        columns["ties"] = [tied(one) for one in part]
        columns["resamples"] = np.isfinite(resampled["spearman"]).sum(axis=1).tolist()
        values = {name: column * len(part) if len(column) == 1 else column for name, column in columns.items()}
        tables.append(pl.concat([keys, pl.DataFrame(values, schema_overrides=TYPES)], how="horizontal"))
        rhos[split] = resampled["spearman"]
    return pl.concat(tables).with_columns((pl.col("spearman") / pl.col("ceiling")).alias("spearman_of_ceiling")), rhos


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
