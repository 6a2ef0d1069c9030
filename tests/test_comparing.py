"""The comparison of poolings against resampling by hand, and on scores of which the truth is known."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from pipeline import comparing, splits
from pipeline.correlation import Correlate, stream

SETTINGS = Correlate(resamples=100, confidence=0.9, seed=3)
MEAN = ("mean", "none", "cosine")


def keys_of(rows):
    """(pooling, correction, layer, similarity) of each row of scores -> the table that `sweeping.read` gives."""
    columns = {"pooling": pl.String, "correction": pl.String, "layer": pl.Int32, "similarity": pl.String}
    return pl.DataFrame(rows, schema=columns, orient="row").insert_column(0, pl.Series("encoder", ["m"] * len(rows), pl.String))


def curve(name, layers=(0, 1), correction="none", similarity="cosine"):
    return [(name, correction, layer, similarity) for layer in layers]


def pairs_of(sizes, graded=False, sharing=2, rng=None):
    """{split: pairs} -> pairs with random labels, of which about `sharing` form a component."""
    rng = rng or np.random.default_rng()
    n = sum(sizes.values())
    names = np.repeat(list(sizes), list(sizes.values()))
    labels = rng.integers(0, 11, n) / 2 if graded else rng.permutation(np.arange(n) % 2).astype(float)
    component = np.concatenate([1000 * i + rng.integers(0, max(1, size // sharing), size) for i, size in enumerate(sizes.values())])
    return pl.DataFrame({"pair_id": range(n), "split": names, "label": labels, "component": component})


def scores_of(pairs, signals, rng=None):
    """One row of scores for each signal: signal * label + noise."""
    noise = (rng or np.random.default_rng()).standard_normal((len(signals), len(pairs)))
    return np.array(signals)[:, None] * stats.zscore(pairs["label"].to_numpy()) + noise


LEARNED = [(f"{name}_{run}", "none", layer, "cosine") for name in ("attention", "diagonal") for run in (0, 1) for layer in (0, 1)]
ROWS = [
    *curve("mean"),
    *curve("mean", correction="centre"),
    *curve("mean", similarity="dot"),
    *curve("max"),
    *curve("max", correction="centre"),  # in no family but that of all
    *LEARNED,
    ("first_last", "none", None, "cosine"),
    *(("scalar_mix_" + str(run), "none", None, "cosine") for run in (0, 1)),
    *((f"layers_{i}_{j}", "none", None, "cosine") for i, j in ((0, 1), (0, 2), (1, 2))),
]


def test_variants_by_hand():
    found = comparing.variants(keys_of(ROWS))
    assert found == {
        MEAN: {"0": [0], "1": [1]},
        ("mean", "centre", "cosine"): {"0": [2], "1": [3]},
        ("mean", "none", "dot"): {"0": [4], "1": [5]},
        ("max", "none", "cosine"): {"0": [6], "1": [7]},
        ("max", "centre", "cosine"): {"0": [8], "1": [9]},
        ("attention", "none", "cosine"): {"0": [10, 12], "1": [11, 13]},
        ("diagonal", "none", "cosine"): {"0": [14, 16], "1": [15, 17]},
        ("first_last", "none", "cosine"): {"": [18]},
        ("scalar_mix", "none", "cosine"): {"": [19, 20]},
        ("pairs_of_layers", "none", "cosine"): {"0+1": [21], "0+2": [22], "1+2": [23]},
    }


def test_a_layer_at_which_a_run_has_no_scores_is_no_option():
    rows = [("attention_0", "none", 0, "cosine"), ("attention_1", "none", 0, "cosine"), ("attention_1", "whitening_9", 0, "cosine")]
    assert comparing.variants(keys_of([*rows, ("attention_0", "none", 1, "cosine")])) == {("attention", "none", "cosine"): {"0": [0, 1]}}


@pytest.mark.parametrize("ties", [False, True])
def test_held_out_ranks_equal_a_loop_and_know_nothing_but_the_order(ties):
    rng = np.random.default_rng()
    runs, fold = rng.standard_normal((4, 50)), rng.permutation(np.arange(50) % 4)
    runs = np.round(runs) if ties else runs
    found = comparing.held_out_ranks(runs, fold)
    for i in range(50):
        others = runs[fold[i]][fold == fold[i]]
        below, equal = (others < runs[fold[i], i]).sum(), (others == runs[fold[i], i]).sum()
        assert found[i] == pytest.approx((below + equal / 2) / len(others), abs=1e-15)
    assert np.array_equal(found, comparing.held_out_ranks(np.stack([np.exp(one) * k - 7 for k, one in enumerate(runs, 1)]), fold))
    inside = runs.copy()
    inside[fold[None] != np.arange(4)[:, None]] = 1e9  # what a run learned from
    assert np.array_equal(found, comparing.held_out_ranks(inside, fold))


def test_runs_and_folds_that_do_not_belong_together_are_refused():
    for fold, fitted in ((np.array([0, 1, 2]), 3), (None, 0)):
        with pytest.raises(ValueError, match=rf"2 runs were swept, but {fitted} fitted: run the fit and sweep stages again"):
            comparing.held_out_ranks(np.zeros((2, 3)), fold)


def test_folds_are_those_of_the_fit():
    pairs = pairs_of({"train": 40, "test": 9}).sample(fraction=1, shuffle=True)
    train = pairs.filter(split="train").sort("pair_id")["component"].to_numpy()
    assert np.array_equal(comparing.folds_of(pairs, {"settings": {"runs": 3, "seed": 8}}), splits.folds(train, 3, 8))
    assert comparing.folds_of(pairs, {"nothing": "there is no train split"}) is None


def rho(scores, labels):
    if np.ptp(scores) == 0 or np.ptp(labels) == 0:
        return np.nan
    return np.corrcoef(stats.rankdata(scores), stats.rankdata(labels))[0, 1]


def by_hand(matrix, pairs, rows_of, chosen_on, reported, fold, settings):
    """What `compare` gives for ROWS, one resample after the other -> rows as dictionaries, with `variant` and `other` instead of names."""
    labels, component, found = pairs["label"].to_numpy(), pairs["component"].to_numpy(), comparing.variants(keys_of(ROWS))
    learned = ("attention", "diagonal", "scalar_mix")

    def drawn(split, count):
        """Row numbers of each resample of a split."""
        at = rows_of[split]
        names = np.unique(component[at])
        rng = np.random.default_rng(stream(settings, split))
        return [np.concatenate([at[component[at] == names[i]] for i in one]) for one in rng.integers(0, len(names), (count, len(names)))]

    def on_train(variant, layer):
        """A row of scores of all pairs, of which those of train are used."""
        runs = found[variant][layer]
        whole = matrix[runs[0]].copy()
        if variant[0] in learned:
            for k, run in enumerate(runs):
                mine = rows_of["train"][fold == k]
                whole[mine] = (stats.rankdata(matrix[run, mine]) - 0.5) / len(mine)
        return whole

    def value(variant, layer, rows):
        return np.mean([rho(matrix[run, rows], labels[rows]) for run in found[variant][layer]])

    def interval(values):
        tail = (1 - settings.confidence) / 2
        return np.quantile([v for v in values if np.isfinite(v)], [tail, 1 - tail])

    table = []
    for split in reported:
        options = [(variant, layer) for variant, layers in found.items() for layer in layers]
        trains, tests = ([rows_of[one], *drawn(one, settings.resamples)] for one in (chosen_on, split))  # the sample itself first
        on = {one: [rho(on_train(*one)[rows], labels[rows]) for rows in trains] for one in options}
        at = {one: [value(*one, rows) for rows in tests] for one in options}

        def line(family, candidates, other, split=split, on=on, at=at):
            best = [max((one for one in candidates if np.isfinite(at[one][0])), key=lambda one: on[one][b]) for b in range(settings.resamples + 1)]
            (variant, layer), train = best[0], on[best[0]][0]
            runs = [rho(matrix[run, rows_of[split]], labels[rows_of[split]]) for run in found[variant][layer]]
            fixed = np.array(at[best[0]][1:])
            again = np.array([at[one][b] for b, one in enumerate(best)][1:])
            row = {"family": family, "variant": variant, "layer": layer, "split": split, "n": len(rows_of[split]), "runs": len(runs), "train": train}
            row |= {"spearman": np.mean(runs), "spread": np.std(runs, ddof=1) if len(runs) > 1 else None, "other": other and other["variant"][0]}
            row |= dict(zip(("low", "high"), interval(fixed))) | dict(zip(("choice_low", "choice_high"), interval(again)))
            row |= {"fixed": fixed, "again": again}
            if other:
                row["difference"] = row["spearman"] - other["spearman"]
                apart = fixed - other["fixed"]
                row |= dict(zip(("difference_low", "difference_high"), interval(apart)))
                row |= dict(zip(("choice_difference_low", "choice_difference_high"), interval(again - other["again"])))
                row["p"] = (1 + sum(abs(apart - row["difference"]) >= abs(row["difference"]) - 1e-12)) / (1 + len(apart))
                row["detectable"] = (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) * np.std(apart, ddof=1)
            return row

        options = {variant: [one for one in options if one[0] == variant] for variant in found}
        reference = line("pooling", options[MEAN], None)
        members = {
            "pooling": [v for v in found if v[1:] == ("none", "cosine") and v != MEAN],
            "correction": [("mean", "centre", "cosine")],
            "similarity": [("mean", "none", "dot")],
        }
        table.append(reference)
        for family, variants in members.items():
            lines = [line(family, options[v], reference) for v in variants]
            if family == "pooling":
                control = next(one for one in lines if one["variant"][0] == "diagonal")
                lines.append(line(family, options["attention", "none", "cosine"], control))
            order = sorted(range(len(lines)), key=lambda i: lines[i]["p"])
            largest = 0.0
            for place, i in enumerate(order):
                largest = max(largest, min(1.0, (len(lines) - place) * lines[i]["p"]))
                lines[i]["p"] = largest
            table += lines
        table.append(line("best of all", [one for several in options.values() for one in several], reference))
    return table


@pytest.mark.parametrize("graded", [False, True])
def test_the_comparison_equals_resampling_by_hand(graded):
    pairs = pairs_of({"train": 44, "test": 36}, graded)
    matrix = scores_of(pairs, np.random.default_rng().uniform(0, 1, len(ROWS)))
    matrix[[1, 11]] = np.round(matrix[[1, 11]])  # ties
    subsets = {"train-20": ["train", 20], "test-20": ["test", 20]}
    rows_of = {"train": np.arange(44), "test": np.arange(44, 80), "test-20": np.arange(44, 64)}
    fold = splits.folds(pairs["component"].to_numpy()[:44], 2, 0)
    mixed = np.random.default_rng().permutation(80)  # the table's order of pairs is no matter: scores are in the order of pair_id
    found = comparing.compare(keys_of(ROWS), matrix, pairs[mixed], subsets, SETTINGS, fold)
    expected = by_hand(matrix, pairs, rows_of, "train", ["test", "test-20"], fold, SETTINGS)
    assert dict(found.schema) == comparing.SCHEMA
    assert len(found) == len(expected) == 2 * (1 + 7 + 1 + 1 + 1)
    for row, by in zip(found.iter_rows(named=True), expected):
        assert (row["pooling"], row["correction"], row["similarity"]) == by.pop("variant")
        assert row["against"] == by.pop("other")
        for name in ("fixed", "again"):
            by.pop(name)
        for name, value in by.items():
            assert row[name] == (value if isinstance(value, str | int | None) else pytest.approx(value, abs=1e-11)), (name, row)


def test_without_a_train_split_the_first_is_chosen_on_and_one_alone_is_reported():
    rows = [*curve("mean"), *curve("max")]
    pairs = pairs_of({"validation": 60, "test": 40})
    matrix = scores_of(pairs, [1, 0, 0, 1])
    found = comparing.compare(keys_of(rows), matrix, pairs, {}, SETTINGS)
    assert set(found["split"]) == {"test"}
    assert found["train"][0] == pytest.approx(max(rho(one[:60], pairs["label"].to_numpy()[:60]) for one in matrix[:2]), abs=1e-12)
    alone = comparing.compare(keys_of(rows), matrix[:, :60], pairs[:60], {"validation-9": ["validation", 9]}, SETTINGS)
    assert set(alone["split"]) == {"validation"}
    assert alone["train"].to_list() == pytest.approx(alone["spearman"].to_list(), abs=1e-15)
    assert alone["n"].to_list() == [60] * len(alone)


def test_without_the_plain_mean_what_is_listed_first_is_compared_with():
    rows = [*curve("last", correction="centre"), *curve("max", correction="centre"), *curve("last")]
    pairs = pairs_of({"train": 40, "test": 40})
    found = comparing.compare(keys_of(rows), scores_of(pairs, [1, 1, 1, 1, 1, 1]), pairs, {}, SETTINGS)
    assert found.select("family", "pooling", "correction", "against").rows() == [
        ("pooling", "last", "centre", None),
        ("pooling", "max", "centre", "last"),
        ("correction", "last", "none", "last"),
        (comparing.ALL, found["pooling"][3], found["correction"][3], "last"),
    ]


def test_attention_is_compared_with_its_control_once():
    pairs = pairs_of({"train": 40, "test": 40})
    fold = splits.folds(pairs["component"].to_numpy()[:40], 2, 0)
    for rows, against in ((LEARNED, "attention"), (LEARNED[4:] + LEARNED[:4], "diagonal")):
        found = comparing.compare(keys_of(rows), scores_of(pairs, [1] * 8), pairs, {}, SETTINGS, fold)
        assert found.filter(family="pooling")["against"].to_list() == [None, against]


def test_one_variant_alone_has_nothing_to_be_compared_with_but_the_best_of_all():
    pairs = pairs_of({"train": 40, "test": 40})
    found = comparing.compare(keys_of(curve("mean")), scores_of(pairs, [1, 2]), pairs, {}, SETTINGS)
    assert found["family"].to_list() == ["pooling", comparing.ALL]
    assert found["difference"].to_list() == [None, 0]
    assert found["p"].to_list() == [None, 1]


@pytest.mark.parametrize("where", [slice(0, 60), slice(60, 100)])
def test_a_layer_of_equal_scores_on_either_split_is_not_chosen(where):
    """Layer 1 would be best by far."""
    rows = [*curve("mean"), *curve("max"), *(row for row in LEARNED if row[0].startswith("attention"))]
    pairs = pairs_of({"train": 60, "test": 40})
    matrix = scores_of(pairs, [0.3, 9] * 4)
    matrix[1::2, where] = 0.5
    found = comparing.compare(keys_of(rows), matrix, pairs, {}, SETTINGS, splits.folds(pairs["component"].to_numpy()[:60], 2, 0))
    assert found["layer"].to_list() == ["0"] * len(found)
    assert found.select(pl.col("spearman", "low", "choice_low", "choice_high").is_not_null().all()).row(0) == (True,) * 4


def test_where_nothing_is_defined_nothing_is_said():
    pairs = pairs_of({"train": 60, "test": 40})
    matrix = scores_of(pairs, [1, 1, 1, 1])
    matrix[2:] = 1.0
    found = comparing.compare(keys_of([*curve("mean"), *curve("last")]), matrix, pairs, {}, SETTINGS)
    last = found.filter(pooling="last").row(0, named=True)
    assert {name for name, value in last.items() if value is None} == set(comparing.SCHEMA) - {
        *("encoder", "family", "pooling", "correction", "similarity", "layer", "against", "split", "n", "runs")
    }
    assert found.filter(family=comparing.ALL)["pooling"].to_list() == ["mean"]


def test_a_resample_of_train_in_which_nothing_can_be_chosen_is_left_out():
    """Two components of one label each: half of the resamples of train have one label."""
    pairs = pairs_of({"train": 20, "test": 40}).with_columns(component=pl.when(split="train").then("label").otherwise("component"))
    matrix = scores_of(pairs, [1, 1])
    params = Correlate(resamples=400, confidence=0.9, seed=1)
    found = comparing.compare(keys_of(curve("mean")), matrix, pairs, {}, params).row(0, named=True)
    train, labels = params.resamples, pairs["label"].to_numpy()
    rng, at = np.random.default_rng(stream(params, "train")), rng_rows(pairs, params)
    kept = [b for b, one in enumerate(rng.integers(0, 2, (train, 2))) if len(set(one)) == 2]
    best = int(np.argmax([rho(one[:20], labels[:20]) for one in matrix]))  # with both components once, always the same pairs
    values = [rho(matrix[best, at[b]], labels[at[b]]) for b in kept]
    assert 100 < len(kept) < 300
    assert [found["choice_low"], found["choice_high"]] == pytest.approx(np.quantile(values, [0.05, 0.95]), abs=1e-11)


def rng_rows(pairs, params):
    """The rows of each resample of test."""
    component, at = pairs["component"].to_numpy(), np.flatnonzero(pairs["split"].to_numpy() == "test")
    names, rng = np.unique(component[at]), np.random.default_rng(stream(params, "test"))
    return [np.concatenate([at[component[at] == names[i]] for i in one]) for one in rng.integers(0, len(names), (params.resamples, len(names)))]


def test_a_layer_is_not_chosen_for_what_its_runs_know_by_heart():
    """Layer 1 has learned the labels of all pairs but those held out, where it knows nothing; layer 0 knows a little of everything."""
    pairs = pairs_of({"train": 200, "test": 200}, sharing=1)
    fold, labels = splits.folds(pairs["component"].to_numpy()[:200], 2, 0), pairs["label"].to_numpy()
    rows = [*curve("mean"), *(row for row in LEARNED if row[0].startswith("attention"))]
    matrix = scores_of(pairs, [0.5, 0, 0.7, 0, 0.7, 0])
    for run in (0, 1):
        learned = np.flatnonzero(fold != run)
        matrix[3 + 2 * run, learned] = 10 * labels[learned]
    found = comparing.compare(keys_of(rows), matrix, pairs, {}, SETTINGS, fold).filter(pooling="attention")
    assert found["layer"].unique().to_list() == ["0"]
    assert found["spearman"][0] == pytest.approx(np.mean([rho(matrix[i, 200:], labels[200:]) for i in (2, 4)]), abs=1e-12)


def simulated(signals, layers, times, rng):
    """Adjusted p of each pooling but the mean, and its difference from it, in `times` samples -> (times, poolings) each. signals:
    {pooling: signal at all its layers}; half of the noise is of the pair, and the same for all."""
    names = ["max", "last", "first", "norm_mean"]
    rows = [*curve("mean", range(1)), *(row for name in names for row in curve(name, range(layers)))]
    found = []
    for _ in range(times):
        pairs = pairs_of({"train": 60, "test": 120}, sharing=1, rng=rng)
        strength = [signals.get("mean", 0.5)] + [signals.get(name, 0.5) for name in names for _ in range(layers)]
        matrix = scores_of(pairs, strength, rng) + rng.standard_normal(len(pairs))
        table = comparing.compare(keys_of(rows), matrix, pairs, {}, SETTINGS)
        found.append(table.filter(family="pooling").select("p", "difference").to_numpy()[1:].T)
    return np.array(found).swapaxes(0, 1)


def test_poolings_that_differ_by_noise_are_not_told_apart_however_many_layers_they_choose_from():
    """30 samples, 5 % of which may reject something: more than 8 do with probability 2e-5, at 8 %, which small samples can have, with 5e-4."""
    p, difference = simulated({}, layers=10, times=30, rng=np.random.default_rng())
    assert (p.min(axis=1) < 0.05).sum() <= 8
    average = difference.mean(axis=1)  # a choice on test would make it positive by eight standard errors
    assert abs(stats.ttest_1samp(average, 0).statistic) < 4.5


def test_a_pooling_that_is_better_is_found_and_no_other_is():
    p, _ = simulated({"last": 2.5}, layers=2, times=20, rng=np.random.default_rng())
    assert (p[:, 1] < 0.05).mean() >= 0.9
    assert (np.delete(p, 1, axis=1).min(axis=1) < 0.05).sum() <= 6


@pytest.mark.parametrize("listed", [ROWS, [("max", "centre", 0, "dot"), ("mean", "centre", 0, "dot"), ("mean", "none", 0, "dot")]])
def test_by_layer_equals_a_loop(listed):
    pairs = pairs_of({"train": 30, "test": 20})
    matrix, labels = scores_of(pairs, [0.5] * len(listed)), pairs["label"].to_numpy()
    matrix[0, :30] = 2.0  # undefined on train
    found = comparing.by_layer(keys_of(listed), matrix, pairs.sample(fraction=1, shuffle=True), {"test-9": ["test", 9]})
    expected = {}
    for split, at in {"train": slice(0, 30), "test": slice(30, 50), "test-9": slice(30, 39)}.items():
        for (name, correction, layer, similarity), one in zip(listed, matrix):
            shown = (correction, similarity) == (listed[0][1], listed[0][3]) and not name.startswith("layers_")
            for stem in ("attention", "diagonal", "scalar_mix"):
                name = stem if name.startswith(stem) else name
            if shown:
                expected.setdefault((name, layer, split), []).append(rho(one[at], labels[at]))
    assert len(found) == len(expected)
    for row in found.iter_rows(named=True):
        values = expected[row["pooling"], row["layer"], row["split"]]
        for name, function in (("spearman", np.mean), ("least", np.min), ("most", np.max)):
            assert row[name] == (None if np.isnan(values[0]) else pytest.approx(function(values), abs=1e-12))
