"""What the correlations allow us to say: differences, bands over layers, trends, choices and covariates, with their uncertainty.

Everywhere: scores (K, n) of K encoders or layers, labels (n,), component (n,) = the cluster of each pair, the unit of
resampling. Resampled statistics (K, B) are those of `correlation.bootstrap`: column b of every row is the same resample, so
differences of rows, and of calls with the same seed and components, are paired. NaN marks what is undefined; a resample in
which a value is undefined is left out. How much components can say depends on (sum of sizes)^2 / sum of squared sizes, not on
their number: where that is about 20, tests at .05 reject a true null in .06 (equal sizes) to .09 (one component of a fifth of the pairs).
"""

import numpy as np
import polars as pl
from scipy import stats
from scipy.special import ndtr, ndtri

from pipeline import splits
from pipeline.correlation import (
    INFERRED,
    KEYS,
    Correlate,
    arranged,
    bootstrap,
    correlate_and_resample,
    interval,
    is_binary,
    name_of,
    selected,
    spearman,
    stream,
    weighted,
)

ROUNDING = 1e-12  # statistics of order 1 that are closer than this are equal: the same ranks, summed in another order


def against_zero(estimate, resampled, confidence):
    """Percentile interval and two-sided p-value of "the true value is 0": estimate (K,), resampled (K, B) -> low, high, p, each (K,).

    p = (1 + #{|t* - t| >= |t|}) / (1 + B), the centred bootstrap: t* - t behaves as t would if the true value were 0 (Hall and
    Wilson 1991, Biometrics 47, first guideline; the + 1, Davison and Hinkley 1997, chapter 4, keeps p from being 0). Inverting
    the percentile interval instead would look up the spread on the wrong side of a skewed t*. So p < 1 - confidence and an
    interval without 0 can disagree near the border.
    """
    low, high = np.array(interval(resampled, confidence), dtype=np.float64)  # None becomes NaN
    defined = np.isfinite(resampled).sum(axis=1)
    extreme = (np.abs(resampled - estimate[:, None]) >= np.abs(estimate[:, None]) - ROUNDING).sum(axis=1)
    return low, high, np.where(np.isfinite(estimate) & (defined > 0), (1 + extreme) / (1 + defined), np.nan)


def difference(a, b, resampled_a, resampled_b, confidence):
    """Paired difference a - b: a, b (K,), resampled (K, B) -> difference, low, high, p (`against_zero`), each (K,)."""
    return a - b, *against_zero(a - b, resampled_a - resampled_b, confidence)


def trend(layers, estimates, resampled, confidence):
    """Least-squares slope of a statistic on the layer number: layers, estimates (L,), resampled (L, B) -> slope, low, high, p.

    slope = sum_l (l - mean l) s_l / sum_l (l - mean l)^2: the average gain per layer, whatever the shape of the curve. Layers are
    no sample and their errors are strongly correlated, so the textbook's error of a slope does not hold; the slope of every
    resampled curve does carry the pairs' uncertainty. A layer without an estimate is left out.
    """
    kept = np.isfinite(estimates)
    if kept.sum() < 2:
        raise ValueError(f"{kept.sum()} layers with an estimate, expected at least 2: a slope needs them")
    centred = layers[kept] - layers[kept].mean()
    slopes = centred / (centred @ centred)
    estimate = slopes @ estimates[kept]
    low, high, p = against_zero(estimate[None], (slopes @ resampled[kept])[None], confidence)
    return estimate, low[0], high[0], p[0]


def jackknife(scores, labels, component):
    """The statistics without each of the C components in turn: scores (K, n), labels (n,), component (n,) -> {statistic: (K, C)}."""
    names, where = np.unique(component, return_inverse=True)
    return weighted(scores, labels, lambda start, stop: where[:, None] != np.arange(start, stop), len(names))


def bca(estimate, resampled, left_out, confidence):
    """Bias-corrected accelerated interval: estimate (K,), resampled (K, B), left_out (K, C) of `jackknife` -> low, high, each (K,).

    Percentiles of the resamples at Phi(z0 + (z0 + z) / (1 - a (z0 + z))), with z0 = Phi^-1(share of resamples below the estimate)
    and a = sum u^3 / (6 (sum u^2)^1.5) over u = mean of left_out - left_out (Efron 1987, JASA 82). NaN where z0 or a is
    undefined: all resamples on one side of the estimate, or a statistic undefined without one component.

    For many components of like size. On clustered pairs it covers no better than the percentiles, and where one component
    holds a fifth of the pairs far worse (.85 for .95 in tests/test_inference.py), since a is then that component's.
    """
    tail = (1 - confidence) / 2
    beyond = resampled - estimate[:, None]
    below = (beyond < -ROUNDING).sum(axis=1) + (np.abs(beyond) <= ROUNDING).sum(axis=1) / 2
    influence = left_out.mean(axis=1, keepdims=True) - left_out
    with np.errstate(invalid="ignore", divide="ignore"):
        z0 = ndtri(below / np.isfinite(resampled).sum(axis=1))[:, None]
        acceleration = ((influence**3).sum(axis=1) / (6 * (influence**2).sum(axis=1) ** 1.5))[:, None]
        shifted = z0 + ndtri([tail, 1 - tail])  # (K, 2)
        levels = ndtr(z0 + shifted / (1 - acceleration * shifted))
    defined = np.isfinite(z0[:, 0]) & np.isfinite(acceleration[:, 0])
    bounds = [np.quantile(row[np.isfinite(row)], at) if ok else [np.nan] * 2 for row, at, ok in zip(resampled, levels, defined)]
    return tuple(np.array(bounds).T)


def delong(scores, labels, component=None):
    """AUCs and their covariance without resampling: scores (K, n), labels (n,) of 0 and 1 -> auc (K,), covariance (K, K).

    A positive's placement is the share of negatives below it, a negative's the share of positives above it, ties half (by
    midranks: Sun and Xu 2014, IEEE SPL 21); AUC is the mean of either. With a (K, C) the sums over components of the
    m positives' placements less AUC, b of the n negatives', over I1, I0, I components that have positives, negatives, any,

        cov = I1 / (I1 - 1) a a^T / m^2 + I0 / (I0 - 1) b b^T / n^2 + I / (I - 1) (a b^T + b a^T) / (m n)

    (Obuchowski 1997, Biometrics 53). Every pair a component of its own, the default, is DeLong et al. 1988, Biometrics 44.
    """
    positive = labels == 1
    m, n = int(positive.sum()), int((~positive).sum())
    names, where = np.unique(np.arange(len(labels)) if component is None else component, return_inverse=True)
    clusters = [len(np.unique(where[kind])) for kind in (positive, ~positive, slice(None))]
    if not is_binary(labels) or min(clusters) < 2:
        raise ValueError(f"{clusters[0]} components with positives and {clusters[1]} with negatives: labels 0 and 1 in at least 2 components each are needed")
    ranks = stats.rankdata(scores, axis=1)
    placements = np.empty(scores.shape)
    placements[:, positive] = (ranks[:, positive] - stats.rankdata(scores[:, positive], axis=1)) / n
    placements[:, ~positive] = 1 - (ranks[:, ~positive] - stats.rankdata(scores[:, ~positive], axis=1)) / m
    auc = placements[:, positive].mean(axis=1)
    deviations = placements - auc[:, None]
    a, b = (np.stack([np.bincount(where[kind], row[kind], len(names)) for row in deviations]) for kind in (positive, ~positive))
    factors = [count / (count - 1) for count in clusters]
    return auc, factors[0] * a @ a.T / m**2 + factors[1] * b @ b.T / n**2 + factors[2] * (a @ b.T + b @ a.T) / (m * n)


def delong_test(auc, covariance):
    """Every two AUCs of `delong`: auc (K,), covariance (K, K) -> difference auc_i - auc_j, its standard error, two-sided p, each (K, K).

    z = difference / error is normal in large samples. Error and p are NaN where the difference does not vary: the same order of pairs.
    """
    apart = auc[:, None] - auc
    own = np.diag(covariance)[:, None] + np.diag(covariance)
    variance = own - 2 * covariance
    error = np.sqrt(np.where(variance > ROUNDING * own, variance, np.nan))
    return apart, error, 2 * ndtr(-np.abs(apart) / error)


def standard_error(resampled):
    """The bootstrap's standard error: resampled (..., B) -> (...), NaN where fewer than two resamples are defined."""
    return np.apply_along_axis(lambda row: np.std(kept, ddof=1) if len(kept := row[np.isfinite(row)]) > 1 else np.nan, -1, resampled)


def simultaneous(estimates, resampled, confidence):
    """Bands that hold for all K rows at once with this confidence: estimates (K,), resampled (K, B) -> low, high, each (K,).

    estimate +- c error, with the bootstrap's standard errors and c the quantile over resamples of max_k |t*_k - t_k| / error_k
    (sup-t: Montiel Olea and Plagborg-Moller 2019, J. Appl. Econometrics 34). Rows without an estimate or without spread have no
    band, and a resample counts if the others are all defined in it.
    """
    error = standard_error(resampled)
    rows = np.isfinite(estimates) & (error > ROUNDING)
    error[~rows] = np.nan
    if not rows.any():
        return error, error
    largest = np.max(np.abs(resampled[rows] - estimates[rows, None]) / error[rows, None], axis=0)  # (B,), NaN if any row is
    width = np.quantile(largest[np.isfinite(largest)], confidence) * error
    return estimates - width, estimates + width


def holm(p):
    """Adjusted p-values of m tests (Holm 1979, Scand. J. Statistics 6): p (m,) -> (m,), max_{j <= i} min(1, (m - j + 1) p_(j)) in
    ascending order. Tests whose adjusted p is at most alpha reject any true hypothesis with probability alpha at most, however
    dependent they are. NaN is no test."""
    adjusted = np.full(len(p), np.nan)
    order = np.argsort(p)[: np.isfinite(p).sum()]  # NaN sorts last
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return adjusted


def choices(train, train_resampled, test):
    """The best of K on train, and in each resample of it: train, test (K,), train_resampled (K, B) -> index, indices (B,), -1 where there is none.

    Rows undefined on either split are no candidates; of equals the first is chosen, as in `correlation.selected`.
    """
    candidates = np.isfinite(train) & np.isfinite(test)
    usable = np.where(candidates[:, None] & np.isfinite(train_resampled), train_resampled, -np.inf)
    best = int(np.argmax(np.where(candidates, train, -np.inf))) if candidates.any() else -1
    return best, np.where(np.isfinite(usable).any(axis=0), usable.argmax(axis=0), -1)


def select(train, train_resampled, test, test_resampled, confidence):
    """The best of K on train, reported on test, with the choice repeated in every resample of train.

    train, test (K,), resampled (K, B) -> index chosen, its test value, low, high (percentile), share of resamples that choose each
    (K,). Who is a candidate: `choices`.

    The interval is about the procedure "choose on train, then test": it is wider than that of the chosen row by what other
    train data would have chosen, and conservative, since a resample of a sample chooses more erratically than a sample. Test
    pairs took no part in the choice, so the chosen row's own interval is valid for that row.
    """
    best, chosen = choices(train, train_resampled, test)
    if best < 0:
        raise ValueError(f"none of {len(train)} rows is defined on both splits")
    kept = np.flatnonzero(chosen >= 0)
    low, high = np.array(interval(test_resampled[chosen[kept], kept][None], confidence), dtype=np.float64)[:, 0]
    return best, test[best], low, high, np.bincount(chosen[kept], minlength=len(train)) / max(1, len(kept))


def threshold_metrics(train_scores, train_labels, scores, labels):
    """Classification by "score > threshold", the threshold that is most often right on train: four vectors -> dictionary.

    Candidates are the midpoints between neighbouring train scores, and -inf and inf (all positive, none positive); of equals
    the smallest. On the other split: accuracy, F1 of the positives, balanced accuracy (mean of both recalls), and MCC, which is
    0 where one class only is predicted (as in scikit-learn). The others are NaN where labels leave 0 / 0.
    """
    if not (is_binary(train_labels) and is_binary(labels)):
        raise ValueError("labels are grades, expected 0 and 1: a threshold divides two classes")
    values, group = np.unique(train_scores, return_inverse=True)
    gain = np.bincount(group, 1 - 2 * train_labels)  # negatives less positives of each value: what moving the threshold above it gains
    middle = values[:-1] + np.diff(values) / 2
    middle = np.where(middle < values[1:], middle, values[:-1])  # no number in between: rounded up, it would take the wrong side
    threshold = np.concatenate([[-np.inf], middle, [np.inf]])[np.argmax(np.append(0, gain.cumsum()))]
    predicted, positive = scores > threshold, labels == 1
    tp, fp, fn, tn = (float((p & t).sum()) for p, t in [(predicted, positive), (predicted, ~positive), (~predicted, positive), (~predicted, ~positive)])
    with np.errstate(invalid="ignore"):
        f1, recall, specificity = np.divide([2 * tp, tp, tn], [2 * tp + fp + fn, tp + fn, tn + fp])
    margins = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return {
        "threshold": float(threshold),
        "accuracy": (tp + tn) / len(labels),
        "f1": float(f1),
        "balanced_accuracy": float((recall + specificity) / 2),
        "mcc": (tp * tn - fp * fn) / np.sqrt(margins) if margins else 0.0,
    }


def partial_from(rho_sl, rho_sg, rho_lg):
    """Correlation of scores s and labels l given g, from the three of each two, elementwise (also of resamples):
    (sl - sg lg) / sqrt((1 - sg^2) (1 - lg^2)); NaN where g determines s or l (Yule 1907, Proc. R. Soc. A 79)."""
    left = [np.where(1 - np.square(rho) > ROUNDING, 1 - np.square(rho), np.nan) for rho in (rho_sg, rho_lg)]
    return (rho_sl - rho_sg * rho_lg) / np.sqrt(left[0] * left[1])


def partial_spearman(scores, labels, given):
    """Spearman's rho of scores (K, n) and labels (n,) given a covariate (n,) such as word overlap -> (K,): what is left of
    the ranks of both after their linear regressions on the covariate's ranks. Its resamples: `partial_from` of three bootstraps."""
    rho_sl, rho_sg = (np.array([spearman(one, other) for one in scores], dtype=np.float64) for other in (labels, given))
    return partial_from(rho_sl, rho_sg, np.array(spearman(given, labels), dtype=np.float64))


def minimal_detectable_difference(resampled, power=0.8, alpha=0.05):
    """True difference that a two-sided test at level alpha finds with this power: resampled differences (..., B) -> (...).

    (z_{1 - alpha / 2} + z_power) times the bootstrap's standard error, which is taken to be the same at 0 and at that difference.
    """
    return (ndtri(1 - alpha / 2) + ndtri(power)) * standard_error(resampled)


def auc_error(auc, positives, negatives):
    """Standard error of an AUC from counts of independent pairs, for exponential scores (Hanley and McNeil 1982, Radiology 143):
    var = (A (1 - A) + (m - 1) (A / (2 - A) - A^2) + (n - 1) (2 A^2 / (1 + A) - A^2)) / (m n). At A = 1 / 2 it is that of the
    Mann-Whitney test for any scores without ties, (m + n + 1) / (12 m n)."""
    m, n = positives, negatives
    return np.sqrt((auc * (1 - auc) + (m - 1) * (auc / (2 - auc) - auc**2) + (n - 1) * (2 * auc**2 / (1 + auc) - auc**2)) / (m * n))


def minimal_detectable_auc(positives, negatives, power=0.8, alpha=0.05):
    """AUC above 1 / 2 that a two-sided test finds with this power, before any data: 1 / 2 + (z_{1 - alpha / 2} + z_power) times
    `auc_error` at 1 / 2. Shared sentences make pairs count for fewer than they are; then this is too small."""
    return 0.5 + (ndtri(1 - alpha / 2) + ndtri(power)) * auc_error(0.5, positives, negatives)


def rho_from_auc(auc, positives, negatives):
    """Spearman's rho of scores without ties and 0/1 labels, n = m + n0 pairs: (AUC - 1 / 2) sqrt(12 m n0 / (n^2 - 1)).

    Midranks of the labels are n / 2 apart, so the sum of products is n / 2 m n0 (AUC - 1 / 2) and the labels' sum of squares
    n m n0 / 4; that of ranks 1 ... n is (n^3 - n) / 12. Scores with ties: divide by `correlation.ceiling(scores)`.
    """
    return (auc - 0.5) * _slope(positives, negatives)


def auc_from_rho(rho, positives, negatives):
    """The inverse of `rho_from_auc`."""
    return 0.5 + rho / _slope(positives, negatives)


def _slope(positives, negatives):
    """Rho per AUC."""
    return np.sqrt(12 * positives * negatives / ((positives + negatives) ** 2 - 1))


def bands(curves, rho, resampled, confidence):
    """`simultaneous` over the layers of each curve: curves (row numbers of each), rho (K,), resampled (K, B) -> {column: (K,)}."""
    low, high = np.full((2, len(rho)), np.nan)
    for rows in curves:
        low[rows], high[rows] = simultaneous(rho[rows], resampled[rows], confidence)
    return {"spearman_band_low": low, "spearman_band_high": high}


def slopes(curves, layers, rho, resampled, confidence):
    """`trend` of each curve: curves (row numbers of each), layers, rho (K,), resampled (K, B) -> {column: (curves,)}; p is Holm's over them."""
    none = (np.nan,) * 4
    each = [trend(layers[rows], rho[rows], resampled[rows], confidence) if np.isfinite(rho[rows]).sum() > 1 else none for rows in curves]
    slope, low, high, p = np.array(each).reshape(-1, 4).T
    return {"slope": slope, "slope_low": low, "slope_high": high, "slope_p": holm(p)}


def against(scores, labels, component, rho, resampled, params: Correlate, seed):
    """Encoders 1 to K against encoder 0: scores (1 + K, n), labels, component (n,), rho (1 + K,), resampled (1 + K, B), and the seed
    that resampled was drawn with -> {column: (K,)}; p-values are Holm's over the K."""
    apart, low, high, p = difference(rho[1:], rho[:1], resampled[1:], resampled[:1], params.confidence)
    found = {"difference": apart, "difference_low": low, "difference_high": high, "difference_p": holm(p)}
    found["detectable"] = minimal_detectable_difference(resampled[1:] - resampled[:1])
    with_reference = bootstrap(scores[1:], scores[0], component, params.resamples, seed)["spearman"]  # the same resamples
    left = interval(partial_from(resampled[1:], with_reference, resampled[:1]), params.confidence)
    found["partial"] = partial_spearman(scores[1:], labels, scores[0])
    found["partial_low"], found["partial_high"] = np.array(left, dtype=np.float64).reshape(2, -1)
    if is_binary(labels) and min(len(np.unique(component[labels == label])) for label in (0, 1)) > 1:
        auc, covariance = delong(scores, labels, component)
        found |= {"auc_difference": auc[1:] - auc[0], "auc_difference_p": holm(delong_test(auc, covariance)[2][1:, 0])}
    return found


def classified(train_scores, train_labels, scores, labels):
    """`threshold_metrics` of K encoders: (K, n of train), (n of train,), (K, n), (n,) -> {column: (K,)}; none for graded labels."""
    if not (is_binary(train_labels) and is_binary(labels)):
        return {}
    each = [threshold_metrics(train, train_labels, one, labels) for train, one in zip(train_scores, scores)]
    return {name: np.array([one[name] for one in each]) for name in ("accuracy", "f1", "balanced_accuracy", "mcc")}


def infer(scores, pairs, subsets, params: Correlate):
    """The table of `correlation.correlate` with the columns INFERRED, null where they do not apply. Everything resampled shares the
    resamples of the table's own intervals. Each kind of p-value is Holm's over the encoders of a split.

    In every row with a layer: spearman_band_low and _high, simultaneous over the layers of its curve in its split.
    In the rows of selected layers only: slope, slope_low, _high and _p of the whole curve (`trend`); against `params.reference`,
    where there is one: difference of rho, _low, _high and _p, detectable (the true difference that is found with 80 % power at
    .05), partial, _low and _high (rho given the reference's scores), auc_difference and _p (DeLong over components); for 0/1 labels
    accuracy, f1, balanced_accuracy and mcc at the threshold of the split that layers are chosen on.
    Raises ValueError when no encoder is called like the reference.
    """
    table, resampled = correlate_and_resample(scores, pairs, subsets, params)
    keys, matrix = arranged(scores)
    pairs, numbered = pairs.sort("pair_id"), keys.with_row_index("row")
    labels, component = pairs["label"].to_numpy(), pairs["component"].to_numpy()
    best, chosen_on = selected(table)
    chosen = numbered.join(best, on=KEYS, how="semi", nulls_equal=True)["row"].to_numpy()
    names = [name_of(row) for row in keys[chosen].iter_rows(named=True)]
    if params.reference is not None and names.count(params.reference) != 1:
        raise ValueError(f"correlate.reference is {params.reference!r}, expected one of {', '.join(names)}, or null to compare none")
    order = chosen[np.argsort([name != params.reference for name in names], kind="stable")]  # the reference first
    deep = numbered.filter(pl.col("layer").is_not_null()).group_by([key for key in KEYS if key != "layer"], maintain_order=True)
    curves = [np.array(rows) for rows in deep.agg("row")["row"].to_list()]
    of_curves = [np.intersect1d(rows, chosen)[0] for rows in curves]
    layers, rows_of = keys["layer"].cast(pl.Float64).to_numpy(), splits.groups(pairs, subsets)
    train = rows_of[chosen_on]
    found = []
    for split, rows in rows_of.items():
        rho, drawn = table.filter(pl.col("split") == split)["spearman"].to_numpy(), resampled[split]
        given = [(slice(None), bands(curves, rho, drawn, params.confidence)), (of_curves, slopes(curves, layers, rho, drawn, params.confidence))]
        given.append((chosen, classified(matrix[chosen][:, train], labels[train], matrix[chosen][:, rows], labels[rows])))
        if params.reference is not None and len(order) > 1:
            part = matrix[order][:, rows], labels[rows], component[rows], rho[order], drawn[order]
            given.append((order[1:], against(*part, params, stream(params, split))))
        columns = {name: np.full(len(keys), np.nan) for name in INFERRED}
        for at, values in given:
            for name, column in values.items():
                columns[name][at] = column
        found.append(pl.DataFrame(columns, nan_to_null=True))
    return pl.concat([table, pl.concat(found)], how="horizontal")
