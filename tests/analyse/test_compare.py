"""The comparison of poolings against resampling by hand, and on scores of which the truth is known."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from pipeline.analyse.compare import ALL, SCHEMA, WITHOUT_LABELS, compare, layer_of
from pipeline.analyse.settings import Correlate
from pipeline.stats.folds import folds
from tests.analyse.by_hand import ByHand
from tests.analyse.making import (
    ATTENTION,
    DIAGONAL,
    LEARNED,
    ROWS,
    SETTINGS,
    curve,
    pairs_of,
    rho,
    signals_and_noise,
    swept,
)


def fold_of(pairs, count):
    """Two folds of the first pairs."""
    return folds(pairs["component"].to_numpy()[:count], 2, 0)


def compared(rows, scores, pairs, fold=None, settings=SETTINGS):
    return compare(swept(rows, scores), pairs, {}, settings, fold)


@pytest.mark.parametrize("graded", [False, True])
def test_the_comparison_equals_resampling_by_hand(rng, graded):
    pairs = pairs_of(rng, {"train": 44, "test": 36}, graded)
    scores = signals_and_noise(rng, pairs, rng.uniform(0, 1, len(ROWS)))
    scores[[1, 11]] = np.round(scores[[1, 11]])  # ties
    fold = fold_of(pairs, 44)
    subsets = {"train-20": ["train", 20], "test-20": ["test", 20]}
    mixed = pairs.sample(fraction=1, shuffle=True, seed=int(rng.integers(99)))  # scores are in the order of pair_id
    layer = int(rng.integers(2))
    order = [(layer, -0.5), (1 - layer, 0.5)]
    table = compare(swept(ROWS, scores, loes=order), mixed, subsets, SETTINGS, fold)
    assert dict(table.schema) == SCHEMA
    oracle = ByHand(scores, pairs, fold, SETTINGS)
    for split, rows in {"test": np.arange(44, 80), "test-20": np.arange(44, 64)}.items():
        expected = oracle.table(np.arange(44), rows, split, str(layer))
        found = table.filter(split=split)
        assert len(found) == len(expected) == 1 + 7 + 1 + 1 + 1 + 1
        for row, by_hand in zip(found.iter_rows(named=True), expected):
            for name in (name for name in by_hand if name not in ("fixed", "nested")):
                value = by_hand[name]
                same = value if isinstance(value, str | int | None) else pytest.approx(value, abs=1e-11)
                assert row[name] == same, (name, row)
    assert table["split"].unique(maintain_order=True).to_list() == ["test", "test-20"]


def test_without_a_train_split_the_first_is_chosen_on_and_one_alone_is_reported(rng):
    rows = [*curve("mean"), *curve("max")]
    pairs = pairs_of(rng, {"validation": 60, "test": 40})
    scores, labels = signals_and_noise(rng, pairs, [1, 0, 0, 1]), pairs["label"].to_numpy()
    table = compared(rows, scores, pairs)
    assert set(table["split"]) == {"test"}
    best = max(rho(row[:60], labels[:60]) for row in scores[:2])
    assert table["train"][0] == pytest.approx(best, abs=1e-12)
    alone = compare(swept(rows, scores[:, :60]), pairs[:60], {"validation-9": ["validation", 9]}, SETTINGS)
    assert set(alone["split"]) == {"validation"}
    assert alone["train"].to_list() == alone["spearman"].to_list()
    assert alone["n"].to_list() == [60] * len(alone)


def test_without_the_plain_mean_what_is_listed_first_is_compared_with(rng):
    rows = [*curve("last", correction="centre"), *curve("max", correction="centre"), *curve("last")]
    pairs = pairs_of(rng, {"train": 40, "test": 40})
    table = compared(rows, signals_and_noise(rng, pairs, [1] * 6), pairs)
    assert table.select("family", "pooling", "correction", "against").rows() == [
        ("pooling", "last", "centre", None),
        ("pooling", "max", "centre", "last"),
        ("correction", "last", "none", "last"),
        (ALL, table["pooling"][3], table["correction"][3], "last"),
    ]


@pytest.mark.parametrize(("rows", "against"), [(LEARNED, "attention"), (DIAGONAL + ATTENTION, "diagonal")])
def test_attention_is_compared_with_its_control_once(rng, rows, against):
    pairs = pairs_of(rng, {"train": 40, "test": 40})
    table = compared(rows, signals_and_noise(rng, pairs, [1] * 8), pairs, fold_of(pairs, 40))
    assert table.filter(family="pooling")["against"].to_list() == [None, against]


def test_one_variant_alone_has_nothing_to_be_compared_with_but_the_best_of_all(rng):
    pairs = pairs_of(rng, {"train": 40, "test": 40})
    table = compared(curve("mean"), signals_and_noise(rng, pairs, [1, 2]), pairs)
    assert table["family"].to_list() == ["pooling", ALL]
    assert table["difference"].to_list() == [None, 0]
    assert table["p"].to_list() == [None, 1]


@pytest.mark.parametrize("where", [slice(0, 60), slice(60, 100)])
def test_a_layer_of_equal_scores_on_either_split_is_not_chosen(rng, where):
    """Layer 1 would be best by far."""
    rows = [*curve("mean"), *curve("max"), *ATTENTION]
    pairs = pairs_of(rng, {"train": 60, "test": 40})
    scores = signals_and_noise(rng, pairs, [0.3, 9] * 4)
    scores[1::2, where] = 0.5
    table = compared(rows, scores, pairs, fold_of(pairs, 60))
    assert table["layer"].to_list() == ["0"] * len(table)
    figures = table.select("spearman", "low", "choice_low", "choice_high")
    assert figures.null_count().row(0) == (0, 0, 0, 0)


def test_where_nothing_is_defined_nothing_is_said(rng):
    pairs = pairs_of(rng, {"train": 60, "test": 40})
    scores = signals_and_noise(rng, pairs, [1, 1, 1, 1])
    scores[2:] = 1.0
    table = compared([*curve("mean"), *curve("last")], scores, pairs)
    last = table.filter(pooling="last").row(0, named=True)
    said = {"encoder", "family", "pooling", "correction", "similarity", "layer", "against", "split", "n", "runs"}
    said |= {"effective_components"}
    assert {name for name, value in last.items() if value is not None} == said
    assert table.filter(family=ALL)["pooling"].to_list() == ["mean"]


def test_a_resample_of_train_in_which_nothing_can_be_chosen_is_left_out(rng):
    """One component of one label in five: a third of the resamples of train do not have it."""
    first = pl.col("pair_id").rank("ordinal").over("split") <= 4  # all of label 1 are in component 0
    component = pl.when(first).then(0).otherwise(1 + pl.col("pair_id") % 4)
    pairs = pairs_of(rng, {"train": 20, "test": 40})
    train = pairs["split"] == "train"
    pairs = pairs.with_columns(
        label=pl.when(train).then(first.cast(pl.Float64)).otherwise("label"),
        component=pl.when(train).then(component).otherwise("component"),
    )
    scores, settings = signals_and_noise(rng, pairs, [1, 1]), Correlate(resamples=400, confidence=0.9, seed=1)
    found = compared(curve("mean"), scores, pairs, settings=settings).row(0, named=True)
    labels, by_hand = pairs["label"].to_numpy(), ByHand(scores, pairs, None, settings)
    values = []
    for chosen_on, reported in zip(
        by_hand.samples(np.arange(20), "train")[1:], by_hand.samples(np.arange(20, 60), "test")[1:]
    ):
        if len(set(labels[chosen_on])) == 2:
            best = int(np.argmax([rho(row[chosen_on], labels[chosen_on]) for row in scores]))
            values.append(rho(scores[best, reported], labels[reported]))
    assert 200 < len(values) < 330
    assert [found["choice_low"], found["choice_high"]] == pytest.approx(np.nanquantile(values, [0.05, 0.95]), abs=1e-11)


def test_a_layer_is_not_chosen_for_what_its_runs_know_by_heart(rng):
    """Layer 1 has learned the labels of all pairs but those held out, where it knows nothing.

    Layer 0 knows a little of everything.
    """
    pairs = pairs_of(rng, {"train": 200, "test": 200}, sharing=1)
    fold, labels = fold_of(pairs, 200), pairs["label"].to_numpy()
    scores = signals_and_noise(rng, pairs, [0.5, 0, 0.7, 0, 0.7, 0])
    for run in (0, 1):
        learned = np.flatnonzero(fold != run)
        scores[3 + 2 * run, learned] = 10 * labels[learned]
    table = compared([*curve("mean"), *ATTENTION], scores, pairs, fold).filter(pooling="attention")
    assert table["layer"].unique().to_list() == ["0"]
    expected = np.mean([rho(scores[i, 200:], labels[200:]) for i in (2, 4)])
    assert table["spearman"][0] == pytest.approx(expected, abs=1e-12)


def test_a_layer_that_is_chosen_without_labels_is_compared_with_the_one_that_labels_choose(rng):
    pairs = pairs_of(rng, {"train": 200, "test": 200}, sharing=1)
    scores = signals_and_noise(rng, pairs, [0.0, 3.0, 1.0, 1.0])
    rows, families = [*curve("mean"), *curve("max")], ["pooling", "pooling", WITHOUT_LABELS, ALL]
    wrong = compare(swept(rows, scores, loes=[(0, 0.1), (1, 0.2)]), pairs, {}, SETTINGS)
    right = compare(swept(rows, scores, loes=[(1, 0.1), (0, 0.2)]), pairs, {}, SETTINGS)
    assert wrong["family"].to_list() == right["family"].to_list() == families
    found = wrong.row(2, named=True)
    assert (found["layer"], found["against"], wrong["layer"][0]) == ("0", "mean", "1")
    assert found["difference"] == pytest.approx(found["spearman"] - wrong["spearman"][0], abs=1e-12)
    assert found["difference_high"] < 0
    assert found["p"] < 0.05
    found = right.row(2, named=True)
    assert (found["layer"], found["difference"], found["p"]) == ("1", 0, 1)


@pytest.mark.parametrize(
    ("rows", "loes"), [(curve("mean"), []), (curve("max"), [(1, 0.1)]), (curve("mean"), [(5, 0.1), (1, 0.2)])]
)
def test_without_the_mean_or_its_order_no_layer_is_chosen_without_labels(rng, rows, loes):
    pairs = pairs_of(rng, {"train": 40, "test": 40})
    table = compare(swept(rows, signals_and_noise(rng, pairs, [1, 1]), loes=loes), pairs, {}, SETTINGS)
    assert WITHOUT_LABELS not in table["family"].to_list()


def test_an_empty_sweep_has_an_empty_table(rng):
    pairs = pairs_of(rng, {"train": 9, "test": 9})
    table = compared([], np.empty((0, 18)), pairs)
    assert dict(table.schema) == SCHEMA
    assert table.is_empty()


def test_the_layer_of_a_pooling_is_that_of_its_family():
    rows = [("correction", "mean", "5"), ("pooling", "mean", "3"), ("pooling", "scalar_mix", ""), (ALL, "max", "2")]
    table = pl.DataFrame([dict(zip(("family", "pooling", "layer"), row)) for row in rows], schema=SCHEMA)
    assert [layer_of(table, name) for name in ("mean", "scalar_mix", "max")] == ["3", "", None]


def simulated(signals, layers, times, rng):
    """Adjusted p of each pooling but the mean and its difference from it, in `times` samples -> (times, poolings) each.

    signals: {pooling: signal at all its layers}; half of the noise is of the pair, and the same for all.
    """
    names = ["max", "last", "first", "norm_mean"]
    rows = [*curve("mean", range(1)), *(row for name in names for row in curve(name, range(layers)))]
    found = []
    for _ in range(times):
        pairs = pairs_of(rng, {"train": 60, "test": 120}, sharing=1)
        strength = [signals.get("mean", 0.5)] + [signals.get(name, 0.5) for name in names for _ in range(layers)]
        table = compared(rows, signals_and_noise(rng, pairs, strength) + rng.standard_normal(len(pairs)), pairs)
        found.append(table.filter(family="pooling").select("p", "difference").to_numpy()[1:].T)
    return np.array(found).swapaxes(0, 1)


def test_poolings_that_differ_by_noise_are_not_told_apart_however_many_layers_they_choose_from(rng):
    """30 samples, 5 % of which may reject something.

    More than 8 do with probability 2e-5, at 8 %, which small samples can have, with 5e-4.
    """
    p, difference = simulated({}, layers=10, times=30, rng=rng)
    assert (p.min(axis=1) < 0.05).sum() <= 8
    average = difference.mean(axis=1)  # a choice on test would make it positive by eight standard errors
    assert abs(stats.ttest_1samp(average, 0).statistic) < 4.5


def test_a_pooling_that_is_better_is_found_and_no_other_is(rng):
    p, _ = simulated({"last": 2.5}, layers=2, times=20, rng=rng)
    assert (p[:, 1] < 0.05).mean() >= 0.9
    assert (np.delete(p, 1, axis=1).min(axis=1) < 0.05).sum() <= 6
