"""What follows from the correlations, against the functions of stats, one encoder at a time, and scikit-learn."""

import zlib
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sklearn import metrics

from pipeline.analyse.correlate import COMPUTED, correlate
from pipeline.analyse.infer import INFERRED, infer
from pipeline.analyse.settings import Correlate
from pipeline.base.errors import InputError
from pipeline.formats.tables import CORRELATIONS, schema_of
from pipeline.stats.bands import simultaneous
from pipeline.stats.best import below_best
from pipeline.stats.bootstrap import bootstrap, resample_weights
from pipeline.stats.delong import delong
from pipeline.stats.partial import partial_spearman
from pipeline.stats.ranks import spearman_rows
from pipeline.stats.significance import difference, holm, trend
from pipeline.stats.thresholds import best_threshold
from tests.analyse.making import scores_of, scores_table
from tests.helpers import pairs_table

SETTINGS = Correlate(resamples=300, confidence=0.9, seed=1, reference="overlap dice")
ENCODERS = [("a", "mean", 0, "cosine"), ("a", "mean", 1, "cosine"), ("b", "mean", 0, "cosine")]
REFERENCE = ("overlap", None, None, "dice")


class Study:
    """Scores of two encoders with layers and one without, on two splits, and what is inferred from them."""

    def __init__(self, rng, graded=False):
        labels = rng.integers(0, 11, 80) / 2 if graded else rng.permutation(np.arange(80) % 2).astype(float)
        self.pairs = pairs_table(labels, ["train"] * 40 + ["test"] * 40, component=rng.integers(0, 30, 80))
        self.rows = {key: rng.standard_normal(80) + labels for key in (*ENCODERS, REFERENCE)}

    def infer(self, settings=SETTINGS, subsets=None):
        scores = scores_of(scores_table(self.pairs, self.rows))
        return infer(correlate(scores, self.pairs, subsets or {}, settings), settings)

    def split(self, name):
        """Of one split: scores by key, labels, component, and the seed of its resamples."""
        at = (self.pairs["split"] == name).to_numpy()
        labels, component = (self.pairs[column].to_numpy()[at] for column in ("label", "component"))
        return {key: row[at] for key, row in self.rows.items()}, labels, component, [1, zlib.crc32(name.encode())]


@pytest.fixture
def study(rng):
    return Study(rng)


def test_the_table_is_that_of_correlate_with_columns_in_the_rows_they_apply_to(study):
    table = study.infer(subsets={"test-30": ["test", 30]})
    scores = scores_of(scores_table(study.pairs, study.rows))
    plain = correlate(scores, study.pairs, {"test-30": ["test", 30]}, SETTINGS).table
    assert table.select(COMPUTED).equals(plain)
    assert dict(table.schema) == schema_of(CORRELATIONS)
    selected = table.filter("selected")
    for name, expected in {
        "spearman_band_low": table.filter(pl.col("layer").is_not_null()),
        "slope": selected.filter(encoder="a"),  # b has one layer
        "partial": selected.filter(pl.col("encoder") != "overlap"),
        "detectable": selected.filter(pl.col("encoder") != "overlap"),
        "mcc": selected,
    }.items():
        assert table.filter(pl.col(name).is_not_null()).equals(expected), name


@pytest.mark.parametrize("split", ["train", "test"])
def test_bands_and_slopes_are_those_of_each_curve(study, split):
    labels = study.pairs["label"].to_numpy()
    study.rows |= {("c", "mean", layer, "cosine"): study.rows[ENCODERS[layer]] + layer * labels for layer in (0, 1)}
    table = study.infer().filter(split=split)
    by_key, labels, component, seed = study.split(split)
    p = []
    for encoder in "ac":
        curve = np.stack([by_key[encoder, "mean", layer, "cosine"] for layer in (0, 1)])
        rho, resampled = spearman_rows(curve, labels), bootstrap(curve, labels, component, 300, seed)["spearman"]
        rows = table.filter(encoder=encoder).sort("layer")
        band = np.array(simultaneous(rho, resampled, 0.9))
        bounds = rows.select("spearman_band_low", "spearman_band_high").to_numpy().T
        np.testing.assert_allclose(bounds, band, rtol=0, atol=1e-12)
        slope = trend(np.arange(2.0), rho, resampled, 0.9)
        expected = [slope.value[0], slope.low[0], slope.high[0]]
        assert rows.select("slope", "slope_low", "slope_high").drop_nulls().row(0) == pytest.approx(expected, abs=1e-12)
        p.append(slope.p[0])
    assert table["slope_p"].drop_nulls().to_list() == pytest.approx(holm(np.array(p)).tolist(), abs=1e-12)


@pytest.mark.parametrize("split", ["train", "test"])
def test_what_is_said_against_the_reference_by_hand(study, split):
    rows = study.infer().filter(pl.col("difference").is_not_null(), split=split)
    assert rows["encoder"].to_list() == ["a", "b"]
    by_key, labels, component, seed = study.split(split)
    keys = [*rows.select("encoder", "pooling", "layer", "similarity").rows(), REFERENCE]
    every = np.stack([by_key[key] for key in keys])
    others, reference = every[:2], every[2]
    rho, resampled = spearman_rows(every, labels), bootstrap(every, labels, component, 300, seed)["spearman"]
    apart = difference(rho[:2], rho[2:], resampled[:2], resampled[2:], 0.9)
    # the ranks' residuals, of the pairs repeated as often as they were drawn
    drawn = [
        np.repeat(np.arange(40), times) for times in resample_weights(component, 300, np.random.default_rng(seed)).T
    ]
    partial = np.array([partial_spearman(others[:, at], labels[at], reference[at]) for at in drawn])
    auc, covariance = delong(every, labels, component)
    z = (auc[:2] - auc[2]) / np.sqrt(np.diag(covariance)[:2] + covariance[2, 2] - 2 * covariance[:2, 2])
    error = np.nanstd(resampled[:2] - resampled[2:], axis=1, ddof=1)
    detectable = (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) * error
    expected = {
        "difference": apart.value,
        "difference_low": apart.low,
        "difference_high": apart.high,
        "difference_p": holm(apart.p),
        "detectable": detectable,
        "pairs_needed": len(labels) * (detectable / 0.05) ** 2,
        "partial": partial_spearman(others, labels, reference),
        "partial_low": np.nanquantile(partial, 0.05, axis=0),
        "partial_high": np.nanquantile(partial, 0.95, axis=0),
        "auc_difference": [
            metrics.roc_auc_score(labels, row) - metrics.roc_auc_score(labels, reference) for row in others
        ],
        "auc_difference_p": holm(2 * stats.norm.sf(np.abs(z))),
    }
    for name, values in expected.items():
        # rounded constants; 1e-10 of a partial rho
        assert rows[name].to_list() == pytest.approx(list(values), abs=1e-8), name


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("reference", ["overlap dice", None])
def test_encoders_at_their_selected_layers_are_compared_with_the_best(study, split, reference):
    rows = study.infer(replace(SETTINGS, reference=reference)).filter("selected", split=split)
    by_key, labels, component, seed = study.split(split)
    every = np.stack([by_key[key] for key in rows.select("encoder", "pooling", "layer", "similarity").rows()])
    resampled = bootstrap(every, labels, component, 300, seed)["spearman"]
    expected = below_best(spearman_rows(every, labels), resampled, 0.9)
    assert len(rows) == 3
    for name, values in {"": expected.value, "_low": expected.low, "_high": expected.high, "_p": expected.p}.items():
        found = rows[f"below_best{name}"].cast(pl.Float64).fill_null(np.nan).to_numpy()
        assert found == pytest.approx(values, nan_ok=True, abs=1e-12)
    assert rows["below_best_detectable"].drop_nulls().len() == 2


def test_thresholds_are_chosen_on_train_and_measured_by_scikit_learn(study):
    on_train, train_labels, *_ = study.split("train")
    rows = study.infer().filter(pl.col("accuracy").is_not_null())
    assert len(rows) == 2 * 3
    for row in rows.iter_rows(named=True):
        by_key, labels, *_ = study.split(row["split"])
        key = tuple(row[name] for name in ("encoder", "pooling", "layer", "similarity"))
        predicted = by_key[key] > best_threshold(on_train[key], train_labels)
        assert row["accuracy"] == pytest.approx(metrics.accuracy_score(labels, predicted), abs=1e-12)
        assert row["f1"] == pytest.approx(metrics.f1_score(labels, predicted), abs=1e-12)
        assert row["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(labels, predicted), abs=1e-12)
        assert row["mcc"] == pytest.approx(metrics.matthews_corrcoef(labels, predicted), abs=1e-12)


def test_graded_labels_have_neither_thresholds_nor_auc(rng):
    table = Study(rng, graded=True).infer()
    absent = ("auc_difference", "auc_difference_p", "accuracy", "f1", "balanced_accuracy", "mcc")
    assert all(table[name].is_null().all() for name in absent)
    assert table["partial"].is_not_null().sum() == table["detectable"].is_not_null().sum() == 4


def test_one_component_of_a_label_is_too_few_for_delong_and_the_rest_is_there(study):
    in_one = pl.when(pl.col("label") == 1).then(99).otherwise(pl.col("component"))
    study.pairs = study.pairs.with_columns(component=in_one)
    table = study.infer()
    assert table["auc_difference"].is_null().all()
    assert table["difference"].is_not_null().sum() == 4


def test_an_encoder_does_not_differ_from_its_copy(study):
    study.rows["copy", None, None, "dice"] = study.rows[REFERENCE]
    row = study.infer().filter(encoder="copy", split="test").row(0, named=True)
    same = ("difference", "difference_low", "difference_high", "difference_p", "detectable")
    assert [row[name] for name in same] == [0, 0, 0, 1, 0]
    assert row["partial"] is row["auc_difference_p"] is None  # the reference determines it


def test_without_a_reference_nothing_is_compared(study):
    table = study.infer(replace(SETTINGS, reference=None))
    assert all(table[name].is_null().all() for name in ("difference", "partial", "detectable", "auc_difference"))
    assert table["slope"].is_not_null().sum() == 2


def test_an_unknown_reference_is_refused_with_its_near_misses_and_all_names(study):
    message = r"correlate\.reference is 'dice': did you mean overlap dice\? Expected one of a, b, overlap dice, or null"
    with pytest.raises(InputError, match=message):
        study.infer(replace(SETTINGS, reference="dice"))


def test_the_reference_alone_is_compared_with_nothing(study):
    study.rows = {REFERENCE: study.rows[REFERENCE]}
    table = study.infer()
    assert table.select(pl.col(INFERRED).is_null().all()).row(0) == tuple(
        name not in ("below_best", "accuracy", "f1", "balanced_accuracy", "mcc") for name in INFERRED
    )
