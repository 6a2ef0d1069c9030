"""The table of correlations against the statistics of each row, and the layer that is selected."""

import zlib

import numpy as np
import polars as pl
import pytest

from pipeline.analyse.correlate import COMPUTED, correlate, metrics
from pipeline.analyse.settings import Correlate
from pipeline.stats.bootstrap import bootstrap
from pipeline.stats.ranks import STATISTICS, ceiling, spearman, tied_share
from tests.analyse.making import scores_of, scores_table
from tests.helpers import pairs_table

SETTINGS = Correlate(resamples=300, confidence=0.9, seed=1)


def study(rng, n=90, graded=False, splits=("train", "test"), layers=3):
    """Pairs, scores (layers, n) and what `correlate` gives for the layers of one encoder, from shuffled tables."""
    labels = rng.integers(0, 11, n) / 2 if graded else rng.permutation(np.arange(n) % 5 < 3).astype(float)
    pairs = pairs_table(labels, np.repeat(splits, n // len(splits)), component=rng.integers(0, n // 2, n))
    scores = rng.standard_normal((layers, n)) + labels
    scores[0] = np.round(scores[0])
    return pairs, scores, found(rng, pairs, scores, {"train-20": ["train", 20]} if "train" in splits else {})


def found(rng, pairs, scores, subsets):
    table = scores_table(pairs, {("m", "mean", layer, "cosine"): row for layer, row in enumerate(scores)})
    seed = int(rng.integers(1 << 30))
    return correlate(scores_of(table), pairs.sample(fraction=1, shuffle=True, seed=seed), subsets, SETTINGS)


def test_the_table_has_every_split_and_subset_and_layer_in_this_order(rng):
    _, _, correlations = study(rng)
    assert correlations.table.columns == COMPUTED
    assert correlations.table.select("split", "layer").rows() == [
        (split, layer) for split in ("train", "test", "train-20") for layer in range(3)
    ]
    assert correlations.chosen_on == "train"


@pytest.mark.parametrize("graded", [False, True])
def test_a_row_has_the_statistics_of_its_pairs(rng, graded):
    pairs, scores, correlations = study(rng, graded=graded)
    labels, component = pairs["label"].to_numpy(), pairs["component"].to_numpy()
    for split, at in {"train": slice(0, 45), "test": slice(45, 90), "train-20": slice(0, 20)}.items():
        seed = [1, zlib.crc32(split.encode())]
        resampled = bootstrap(scores[:, at], labels[at], component[at], 300, seed)
        assert np.array_equal(correlations.resampled[split], resampled["spearman"], equal_nan=True)
        for layer, row in enumerate(correlations.table.filter(split=split).iter_rows(named=True)):
            expected = {"name": "m", "n": len(labels[at]), "components": len(np.unique(component[at]))}
            expected |= {"positives": None if graded else labels[at].mean(), "ceiling": ceiling(labels[at])}
            expected |= {"ties": tied_share(scores[layer, at]), "spearman_of_ceiling": row["spearman"] / row["ceiling"]}
            expected["resamples"] = np.isfinite(resampled["spearman"][layer]).sum()
            for name, statistic in STATISTICS.items():
                expected[name] = statistic(scores[layer, at], labels[at])
                if expected[name] is not None:
                    bounds = np.nanquantile(resampled[name][layer], [0.05, 0.95])
                    expected |= {f"{name}_low": bounds[0], f"{name}_high": bounds[1]}
            for name, value in expected.items():
                assert row[name] == (value if isinstance(value, str | None) else pytest.approx(value, abs=1e-15)), name
            assert all(row[name] is None for name in ("auc", "auc_low", "auc_high") if graded)


def test_an_undefined_rho_is_null_and_its_row_stays(rng):
    pairs, scores, _ = study(rng)
    scores[1] = 3.0
    row = found(rng, pairs, scores, {}).table.row(by_predicate=(pl.col("layer") == 1) & (pl.col("split") == "test"))
    named = dict(zip(COMPUTED, row))
    assert {named[name] for name in ("spearman", "spearman_low", "pearson", "spearman_of_ceiling")} == {None}
    assert (named["auc"], named["resamples"], named["ties"]) == (0.5, 0, 1)


def test_the_layer_is_selected_on_train_and_reported_elsewhere(rng):
    """Layer 0 is best on train, layer 1 on test: layer 0 is reported."""
    labels = np.tile([0.0, 1.0], 20)
    on_train = np.arange(40) < 20
    scores = np.stack([np.where(on_train, labels, -labels), np.where(on_train, -labels, labels)])
    scores += 1e-3 * rng.random((2, 40))
    correlations = found(rng, pairs_table(labels, ["train"] * 20 + ["test"] * 20), scores, {})
    assert correlations.selected.tolist() == [True, False]
    assert correlations.table["selected"].to_list() == [True, False] * 2
    figures = metrics(correlations.table, "d", correlations.chosen_on, "test")
    assert (figures["dataset"], figures["layer_selected_on"]) == ("d", "train")
    assert figures["layer"] == {"m": 0}
    assert figures["rho"] == {"m": spearman(scores[0, 20:], labels[20:])}
    assert figures["rho"]["m"] < 0


def test_a_layer_whose_scores_are_all_equal_on_a_split_is_not_selected(rng):
    labels = np.tile([0.0, 1.0], 20)
    scores = np.stack([np.where(np.arange(40) < 20, labels, 1.0), 0.1 * labels + rng.random(40)])
    correlations = found(rng, pairs_table(labels, ["train"] * 20 + ["test"] * 20), scores, {})
    assert correlations.selected.tolist() == [False, True]


def test_a_layer_is_selected_even_where_none_is_defined_everywhere(rng):
    pairs, scores, _ = study(rng)
    scores[:, 45:] = 1.0
    correlations = found(rng, pairs, scores, {})
    assert correlations.selected.sum() == 1
    assert correlations.selected[np.argmax(correlations.rho["train"])]


def test_of_equal_layers_the_first_is_selected_and_encoders_without_layers_are_all_selected(rng):
    pairs, scores, _ = study(rng)
    rows = {("m", "mean", layer, "cosine"): scores[1] for layer in (0, 1)}
    rows |= {("overlap", None, None, "dice"): scores[0], ("overlap", None, None, "jaccard"): scores[1]}
    rows |= {("words", "mean", None, "cosine"): scores[2]}
    correlations = correlate(scores_of(scores_table(pairs, rows)), pairs, {}, SETTINGS)
    assert correlations.keys["encoder"].to_list() == ["m", "m", "overlap", "overlap", "words"]
    assert correlations.selected.tolist() == [True, False, True, True, True]
    assert correlations.table["name"].to_list()[:5] == ["m", "m", "overlap dice", "overlap jaccard", "words"]
    names = list(metrics(correlations.table, "d", "train", "test")["rho"])
    assert names == ["m", "overlap-dice", "overlap-jaccard", "words"]


def test_without_a_train_split_the_first_is_chosen_on(rng):
    _, _, correlations = study(rng, splits=("validation", "test"))
    assert correlations.chosen_on == "validation"
    assert correlations.selected[np.argmax(correlations.rho["validation"])]


def test_metrics_leave_out_what_is_undefined(rng):
    _, _, correlations = study(rng)
    table = correlations.table.with_columns(spearman=pl.lit(None, pl.Float64), difference=0.25)
    figures = metrics(table, "d", "train", "test")
    assert list(figures) == ["dataset", "split", "layer_selected_on", "rho", "layer", "difference"]
    assert (figures["rho"], figures["difference"]) == ({}, {"m": 0.25})
