"""Which pooling, correction and similarity is better than the plain mean, by scores of a sweep.

A variant is a pooling, a correction and a similarity; its options are its layers (or pairs of layers). The option is chosen by rho on train;
for learned poolings the train pairs are scored by the run that held them out, so that a layer is not chosen for being learned by heart. What
is reported is rho on the other splits, the mean over the runs of a learned pooling. Intervals and tests are paired over resamples of
components (`pipeline.inference`), with the chosen options as they are, and again with the choice repeated in every resample of train.
"""

import numpy as np
import polars as pl

from pipeline import inference, pooling, splits, sweeping
from pipeline.correlation import Correlate, bootstrap, interval, spearman, stream

REFERENCE = ("mean", "none", "cosine")
CONTROL = ("attention", "diagonal")  # the pooling whose gain could be mere training, and its control
ALL = "best of all"
ALL_RESAMPLES = 1000  # of the choice among all combinations, of which there are thousands

SCHEMA = dict.fromkeys(("encoder", "family", "pooling", "correction", "similarity", "layer", "against", "split"), pl.String)
SCHEMA |= {"n": pl.Int64, "runs": pl.Int64}
SCHEMA |= dict.fromkeys(("train", "spearman", "spread", "low", "high", "choice_low", "choice_high"), pl.Float64)
SCHEMA |= dict.fromkeys(("difference", "difference_low", "difference_high", "choice_difference_low", "choice_difference_high", "p", "detectable"), pl.Float64)
CURVES = dict.fromkeys(("encoder", "pooling", "layer", "split"), pl.String) | {"layer": pl.Int32}
CURVES |= dict.fromkeys(("spearman", "least", "most"), pl.Float64)


def variants(keys):
    """The combinations of a sweep -> {(pooling, correction, similarity): {layer: rows, one a run}}; layer is "" for one mix of layers.
    A layer at which some runs have no scores, for want of dimensions, is none."""
    found = {}
    for row, (name, correction, similarity, layer) in enumerate(keys.select("pooling", "correction", "similarity", "layer").iter_rows()):
        entry, numbers = pooling.parse(name)
        label = "" if layer is None else str(layer)
        if entry in sweeping.LEARNED:
            name = entry
        elif entry == "layers_I_J":
            name, label = sweeping.PAIRS_OF_LAYERS, "+".join(map(str, numbers))
        found.setdefault((name, correction, similarity), {}).setdefault(label, []).append(row)
    runs = {}
    for (name, *_), options in found.items():
        runs[name] = max(runs.get(name, 0), *map(len, options.values()))
    whole = {variant: {layer: rows for layer, rows in options.items() if len(rows) == runs[variant[0]]} for variant, options in found.items()}
    return {variant: options for variant, options in whole.items() if options}


def folds_of(pairs, fit):
    """Pairs (C2) and fit.json's dictionary -> the fold in which each train pair was held out (n,), in the order of pair_id; None
    where nothing was learned."""
    if "nothing" in fit:
        return None
    train = pairs.filter(split="train").sort("pair_id")
    return splits.folds(train["component"].to_numpy(), fit["settings"]["runs"], fit["settings"]["seed"])


def held_out_ranks(runs, fold):
    """Train scores of R runs (R, n) and the fold that each run held out (n,) -> (n,): each pair by the run that did not learn from it,
    as its midrank within the fold / the fold's size, since runs differ in the height of their scores."""
    if fold is None or fold.max() + 1 != len(runs):
        raise ValueError(f"{len(runs)} runs were swept, but {0 if fold is None else fold.max() + 1} fitted: run the fit and sweep stages again")
    return splits.ranks_within(runs[fold, np.arange(len(fold))], fold)


def by_layer(keys, matrix, pairs, subsets):
    """rho of the poolings of a sweep at every layer, without correction, by cosine (or what is listed first): a table of CURVES; the mean, the
    least and the most over the runs of a learned pooling."""
    pairs, found = pairs.sort("pair_id"), variants(keys)
    labels, reference, rows = pairs["label"].to_numpy(), reference_of(found), []
    for split, at in splits.groups(pairs, subsets).items():
        for variant, options in found.items():
            for layer, runs in options.items() if variant[1:] == reference[1:] and variant[0] != sweeping.PAIRS_OF_LAYERS else ():
                rho = np.array([spearman(matrix[run, at], labels[at]) for run in runs], dtype=np.float64)
                rows.append([keys["encoder"][0], variant[0], layer, split, rho.mean(), rho.min(), rho.max()])
    frame = pl.DataFrame(rows, schema=CURVES | {"layer": pl.String}, orient="row")
    return frame.with_columns(pl.col("layer").replace("", None).cast(pl.Int32), pl.selectors.float().fill_nan(None))


def reference_of(found):
    """REFERENCE, or what is listed first where the sweep has no such combination."""
    return REFERENCE if REFERENCE in found else next(iter(found))


def compare(keys, matrix, pairs, subsets, params: Correlate, fold=None):
    """The scores of one encoder's sweep (K, P), their keys and pairs (C2) -> a table of SCHEMA.

    A row is a variant on a split: family (what differs from REFERENCE: pooling, correction, similarity; or ALL), against (the pooling it is
    compared with; null for the reference), train (rho there, by which the layer was chosen), spearman with low and high, spread (standard
    deviation over the runs of a learned pooling), difference with low and high, p (Holm's over the family on the split), detectable
    (the difference that 80 % power finds). choice_...: the same intervals with the choice of the layer repeated in every resample.
    fold: that each train pair was held out in (n,), where there are learned poolings.
    """
    pairs = pairs.sort("pair_id")
    labels, component = pairs["label"].to_numpy(), pairs["component"].to_numpy()
    rows_of = splits.groups(pairs, subsets)
    chosen_on = splits.chosen_on(pairs["split"])
    reported = [name for name in rows_of if chosen_on not in (name, subsets.get(name, [None])[0])] or [chosen_on]
    train, found = rows_of[chosen_on], variants(keys)
    reference = reference_of(found)
    families = {
        "pooling": [v for v in found if v[1:] == reference[1:]],
        "correction": [v for v in found if (v[0], v[2]) == (reference[0], reference[2])],
        "similarity": [v for v in found if v[:2] == reference[:2]],
    }

    def measure(names, resamples):
        """Train and reported values of all options of some variants, and which belong to which."""
        options = [(v, layer, rows) for v in names for layer, rows in found[v].items()]
        on_train = np.stack([held_out_ranks(matrix[rows][:, train], fold) if v[0] in sweeping.LEARNED else matrix[rows[0], train] for v, _, rows in options])
        values = {chosen_on: _statistics(on_train, [[i] for i in range(len(options))], labels[train], component[train], params, resamples, chosen_on)}
        flat = np.concatenate([rows for *_, rows in options])
        ends = np.cumsum([len(rows) for *_, rows in options])
        runs = [list(range(end - len(rows), end)) for end, (*_, rows) in zip(ends, options)]
        for split in reported:
            at = rows_of[split]
            values[f"on {split}"] = _statistics(matrix[np.ix_(flat, at)], runs, labels[at], component[at], params, resamples, split)
        return options, values

    table = []
    options, values = measure(dict.fromkeys(v for names in families.values() for v in names), params.resamples)
    every, of_every = measure(found, min(ALL_RESAMPLES, params.resamples)) if len(found) > len(families["pooling"]) else (options, values)
    for split in reported:
        chosen = {
            v: _choose([i for i, o in enumerate(options) if o[0] == v], values[chosen_on], values[f"on {split}"]) for v in found if v in {o[0] for o in options}
        }
        for family, names in families.items():
            pairs_compared = [(v, reference) for v in names if v != reference]
            control = [(name, *reference[1:]) for name in CONTROL]
            if family == "pooling" and set(control) <= set(names) and reference not in control:
                pairs_compared.append(tuple(control))
            tested = [_row(options, chosen, v, against, family, split, params) for v, against in pairs_compared]
            p = inference.holm(np.array([row["p"] for row in tested]))
            if family == "pooling":
                table.append(_row(options, chosen, reference, None, family, split, params))
            table += [row | {"p": one} for row, one in zip(tested, p)]
        both = {
            reference: _choose([i for i, o in enumerate(every) if o[0] == reference], of_every[chosen_on], of_every[f"on {split}"]),
            ALL: _choose(range(len(every)), of_every[chosen_on], of_every[f"on {split}"]),
        }
        table.append(_row(every, both, ALL, reference, ALL, split, params))
        for row in table:
            row.setdefault("n", len(rows_of[split]))
    encoder = keys["encoder"][0]
    return pl.DataFrame([{**row, "encoder": encoder} for row in table], schema=SCHEMA).with_columns(pl.selectors.float().fill_nan(None))


def _statistics(scores, runs, labels, component, params, resamples, split):
    """Scores (K, n), and the rows of each of O options -> {"value" (O,), "spread" (O,), "resampled" (O, B)} of rho, means over the rows."""
    rho = np.array([spearman(one, labels) for one in scores], dtype=np.float64)
    resampled = bootstrap(scores, labels, component, resamples, stream(params, split))["spearman"]
    spread = [np.std(rho[rows], ddof=1) if len(rows) > 1 else np.nan for rows in runs]
    return {
        "value": np.array([rho[rows].mean() for rows in runs]),
        "spread": np.array(spread),
        "resampled": np.stack([resampled[rows].mean(axis=0) for rows in runs]),
    }


def _choose(candidates, train, test):
    """The option that is best on train, and the values of the one that is best in each resample of train."""
    candidates = np.array(candidates)
    best, chosen = inference.choices(train["value"][candidates], train["resampled"][candidates], test["value"][candidates])
    best = candidates[max(best, 0)]
    repeated = np.where(chosen < 0, np.nan, test["resampled"][candidates[chosen], np.arange(len(chosen))])  # without a choice: left out
    return {
        "option": best,
        "train": train["value"][best],
        "spearman": test["value"][best],
        "spread": test["spread"][best],
        "fixed": test["resampled"][best],
        "repeated": repeated,
    }


def _row(options, chosen, name, against, family, split, params):
    """One row of the table, as a dictionary."""
    one = chosen[name]
    variant, layer, rows = options[one["option"]]
    (low, choice_low), (high, choice_high) = interval(np.stack([one["fixed"], one["repeated"]]), params.confidence)
    row = {"family": family, "pooling": variant[0], "correction": variant[1], "similarity": variant[2], "layer": layer, "split": split, "runs": len(rows)}
    row |= {"train": one["train"], "spearman": one["spearman"], "spread": one["spread"], "low": low, "high": high}
    row |= {"choice_low": choice_low, "choice_high": choice_high, "against": None if against is None else against[0]}
    if against is None:
        return row | dict.fromkeys(("difference", "difference_low", "difference_high", "choice_difference_low", "choice_difference_high", "p", "detectable"))
    other = chosen[against]
    apart = one["fixed"] - other["fixed"]
    estimate = np.array([one["spearman"] - other["spearman"]])
    low, high, p = (float(x[0]) for x in inference.against_zero(estimate, apart[None], params.confidence))
    (choice_low,), (choice_high,) = interval((one["repeated"] - other["repeated"])[None], params.confidence)
    row |= {"difference": float(estimate[0]), "difference_low": low, "difference_high": high, "p": p}
    row |= {"choice_difference_low": choice_low, "choice_difference_high": choice_high}
    return row | {"detectable": float(inference.minimal_detectable_difference(apart))}
