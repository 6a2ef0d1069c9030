"""Figures of probes: by scikit-learn, by repeated pairs, and by hand where something is chosen."""

import numpy as np
import polars as pl
import pytest
from sklearn import metrics

from pipeline.analyse import probes as analysis
from pipeline.analyse.settings import Correlate
from pipeline.formats.probes import KEYS, Probes
from pipeline.formats.scores import KEYS as KEYS_OF_SCORES
from pipeline.formats.scores import Scores
from pipeline.formats.tables import PROBES, schema_of
from pipeline.stats.bootstrap import resample_weights, stream_seed
from pipeline.stats.significance import holm
from tests.analyse.making import pairs_of, rho

SETTINGS = Correlate(resamples=200, confidence=0.9, seed=3)
SUBSETS = {"test-20": ["test", 20], "train-9": ["train", 9]}
TYPES = {"probe": pl.String, "layer": pl.Int32, "features": pl.Int64, "strength": pl.Float64, "held_out": pl.Float64}
TYPES |= {"train": pl.Float64, "permuted": pl.Boolean}


def found_of(rng, pairs, encoder, rows, signal=1.0):
    """Probes with drawn scores: rows of (probe, layer, held_out), each with a control of noise."""
    keys, scores, labels = [], [], pairs["label"].to_numpy()
    for probe, layer, held_out in rows:
        keys += [(probe, layer, 3, 0.1, held_out, 0.9, False), (probe, layer, 3, 0.1, None, 0.6, True)]
        scores += [
            signal * (labels - labels.mean()) + rng.standard_normal(len(labels)),
            rng.standard_normal(len(labels)),
        ]
    assert list(TYPES) == KEYS
    table = pl.DataFrame(keys, schema=TYPES, orient="row")
    return Probes(encoder, table, np.array(scores).reshape(len(keys), len(pairs)), None)


def scores_of(rng, pairs, rows):
    """Zero-shot scores: rows of (encoder, layer, correction, similarity), drawn."""
    names = {"encoder": pl.String, "layer": pl.Int32, "correction": pl.String, "similarity": pl.String}
    keys = pl.DataFrame(rows, schema=names, orient="row").with_columns(pooling=pl.lit("mean")).select(KEYS_OF_SCORES)
    return Scores(keys, rng.standard_normal((len(rows), len(pairs))) + pairs["label"].to_numpy() / 2)


ZERO_SHOT = [("m", 0, "none", "cosine"), ("m", 1, "none", "cosine"), ("overlap", None, None, "dice")]
LAYERS = [("difference_product", 0, 0.6), ("difference_product", 1, 0.7), ("bilinear", 0, 0.8), ("bilinear", 1, 0.8)]


@pytest.fixture
def study(rng):
    """Pairs, the probes of a model with two layers and of word overlap, and their table."""
    pairs = pairs_of(rng, {"train": 40, "test": 60})
    found = [found_of(rng, pairs, "m", LAYERS), found_of(rng, pairs, "overlap", [("measures", None, 0.65)])]
    return pairs, found, analysis.compare(found, pairs, SUBSETS, scores_of(rng, pairs, ZERO_SHOT), SETTINGS)


def test_the_table_has_every_probe_on_every_split_but_train(study):
    _, _, table = study
    assert table.schema == schema_of(PROBES)
    assert list(table.select("split").unique(maintain_order=True).to_series()) == ["test", "test-20"]
    assert len(table) == 2 * 5
    assert set(table["metric"]) == {"accuracy"}
    assert set(table["control_train"]) == {0.6}


def test_the_selected_layer_is_the_best_on_held_out_train_pairs_of_equals_the_first_by_hand(study):
    _, _, table = study
    chosen = table.filter("selected", split="test").select("encoder", "probe", "layer").rows()
    assert chosen == [("m", "difference_product", 1), ("m", "bilinear", 0), ("overlap", "measures", None)]


def test_figures_by_scikit_learn(study):
    pairs, found, table = study
    test = (pairs["split"] == "test").to_numpy()
    labels, rows = pairs["label"].to_numpy()[test], table.filter(split="test").rows(named=True)
    scores = np.concatenate([probes.scores for probes in found])[:, test]
    for row, own, control in zip(rows, scores[::2], scores[1::2]):
        assert row["n"] == 60
        assert row["accuracy"] == pytest.approx(metrics.accuracy_score(labels, own > 0), abs=1e-12)
        assert row["f1"] == pytest.approx(metrics.f1_score(labels, own > 0), abs=1e-12)
        assert row["auc"] == pytest.approx(metrics.roc_auc_score(labels, own), abs=1e-12)
        assert row["spearman"] == pytest.approx(rho(own, labels), abs=1e-12)
        assert row["control"] == pytest.approx(metrics.accuracy_score(labels, control > 0), abs=1e-12)
        assert row["selectivity"] == pytest.approx(row["accuracy"] - row["control"], abs=1e-12)


def test_intervals_and_differences_by_repeating_the_pairs_of_each_resample(study):
    pairs, found, table = study
    test = (pairs["split"] == "test").to_numpy()
    labels, component = pairs["label"].to_numpy()[test], pairs["component"].to_numpy()[test]
    weights = resample_weights(component, 200, np.random.default_rng(stream_seed(3, "test")))
    scores = np.concatenate([probes.scores for probes in found])[:, test]
    right = [[np.mean(np.repeat((s > 0) == (labels == 1), w)) for w in weights.T] for s in scores]
    drawn = np.array(right)
    rows = table.filter(split="test").rows(named=True)
    for row, own, control in zip(rows, drawn[::2], drawn[1::2]):
        ends = [row["accuracy_low"], row["accuracy_high"]]
        assert ends == pytest.approx(np.quantile(own, [0.05, 0.95]), abs=1e-12)
        ends = [row["selectivity_low"], row["selectivity_high"]]
        assert ends == pytest.approx(np.quantile(own - control, [0.05, 0.95]), abs=1e-12)
    chosen = [1, 2]
    p = []
    for at in chosen:
        row, differences = rows[at], drawn[2 * at] - drawn[8]
        assert row["difference"] == pytest.approx(row["accuracy"] - rows[4]["accuracy"], abs=1e-12)
        ends = [row["difference_low"], row["difference_high"]]
        assert ends == pytest.approx(np.quantile(differences, [0.05, 0.95]), abs=1e-12)
        beyond = np.abs(differences - row["difference"]) >= abs(row["difference"]) - 1e-12
        p.append((1 + beyond.sum()) / 201)
    assert [rows[at]["p"] for at in chosen] == pytest.approx(holm(np.array(p)), abs=1e-12)
    assert [row["difference"] is None for row in rows] == [True, False, False, True, True]


def test_without_word_overlap_there_is_no_difference(rng):
    pairs = pairs_of(rng, {"train": 40, "test": 60})
    table = analysis.compare([found_of(rng, pairs, "m", LAYERS)], pairs, {}, scores_of(rng, pairs, ZERO_SHOT), SETTINGS)
    assert table["difference"].is_null().all()
    assert table["accuracy_low"].is_not_null().all()


def test_the_majority_is_that_of_train_by_hand(rng):
    pairs = pairs_of(rng, {"train": 40, "test": 60})
    labels = [1.0] * 25 + [0.0] * 15 + [1.0] * 12 + [0.0] * 48
    pairs = pairs.with_columns(label=pl.Series(labels))
    table = analysis.compare([found_of(rng, pairs, "m", LAYERS)], pairs, {}, scores_of(rng, pairs, ZERO_SHOT), SETTINGS)
    assert set(table["majority"]) == {0.2}


def test_grades_are_measured_by_rho_by_definition(rng):
    pairs = pairs_of(rng, {"train": 40, "test": 60}, graded=True)
    found = [found_of(rng, pairs, "m", LAYERS), found_of(rng, pairs, "overlap", [("measures", None, 0.65)])]
    table = analysis.compare(found, pairs, {}, scores_of(rng, pairs, ZERO_SHOT), SETTINGS)
    labels = pairs["label"].to_numpy()[40:]
    scores = np.concatenate([probes.scores for probes in found])[:, 40:]
    assert table["spearman"].to_list() == pytest.approx([rho(row, labels) for row in scores[::2]], abs=1e-12)
    assert table["control"].to_list() == pytest.approx([rho(row, labels) for row in scores[1::2]], abs=1e-12)
    assert set(table["metric"]) == {"spearman"}
    assert table.select(pl.col("accuracy", "f1", "auc", "majority").is_null().all()).row(0) == (True,) * 4
    assert table.filter(~pl.col("difference").is_null())["probe"].to_list() == ["difference_product", "bilinear"]


def test_no_probes_are_an_empty_table(rng):
    pairs = pairs_of(rng, {"train": 40, "test": 60})
    nothing = Probes("m", pl.DataFrame(schema=TYPES), np.empty((0, 100)), "why not")
    table = analysis.compare([nothing], pairs, {}, scores_of(rng, pairs, ZERO_SHOT), SETTINGS)
    assert table.schema == schema_of(PROBES)
    assert table.is_empty()


def test_the_zero_shot_score_is_the_best_on_train_at_its_layer_and_the_gain_is_the_difference_by_definition(rng):
    pairs = pairs_of(rng, {"train": 40, "test": 60})
    train = (pairs["split"] == "train").to_numpy()
    labels = pairs["label"].to_numpy()
    scores = scores_of(rng, pairs, [("m", 0, "none", "dot"), ("m", 0, "centre", "cosine"), ("m", 1, "none", "cosine")])
    scores.values[1, train] = labels[train]  # the best on train, whatever it is on test
    table = analysis.compare([found_of(rng, pairs, "m", LAYERS)], pairs, {}, scores, SETTINGS)
    assert table["zero_shot"].to_list() == ["centre cosine", "cosine"] * 2
    of_layer = [scores.values[row][~train] for row in (1, 2, 1, 2)]
    expected = [rho(row, labels[~train]) for row in of_layer]
    assert table["zero_shot_spearman"].to_list() == pytest.approx(expected, abs=1e-12)
    expected = [metrics.roc_auc_score(labels[~train], row) for row in of_layer]
    assert table["zero_shot_auc"].to_list() == pytest.approx(expected, abs=1e-12)
    gain = table["spearman"] - table["zero_shot_spearman"]
    assert table["gain"].to_list() == pytest.approx(gain.to_list(), abs=1e-12)


def test_a_probe_that_gives_the_zero_shot_score_gains_exactly_0_and_holm_is_over_the_layers(rng):
    pairs = pairs_of(rng, {"train": 40, "test": 60})
    found, scores = found_of(rng, pairs, "m", LAYERS, signal=8), scores_of(rng, pairs, ZERO_SHOT)
    scores.values[:2] = rng.standard_normal((2, 100))  # far below the probes
    scores.values[0] = found.scores[0]
    table = analysis.compare([found], pairs, {}, scores, SETTINGS)
    assert table.select("gain", "gain_low", "gain_high", "gain_p").row(0) == (0, 0, 0, 1)
    # of two tests of a curve, the smaller p is doubled; the least of 200 resamples is 1 / 201
    assert table["gain_p"][1] == pytest.approx(2 / 201)
