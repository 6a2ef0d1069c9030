"""Statistics against SciPy, scikit-learn, closed forms, and a slow bootstrap that repeats rows."""

import zlib

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from pipeline import correlation
from pipeline.correlation import Correlate, auc, bootstrap, ceiling, correlate, pearson, spearman, tied

SETTINGS = Correlate(resamples=300, confidence=0.9, seed=1)


def data(n=60, encoders=3, graded=False, ties=True):
    rng = np.random.default_rng()
    labels = rng.integers(0, 11, n) / 2 if graded else (rng.random(n) < 0.6).astype(float)
    scores = rng.standard_normal((encoders, n)) + labels
    if ties:
        scores[0] = np.round(scores[0])
    return scores, labels, rng.integers(0, n // 2, n)


@pytest.mark.parametrize("graded", [False, True])
def test_statistics_equal_scipy_and_scikit_learn(graded):
    scores, labels, _ = data(graded=graded)
    for one in scores:
        assert spearman(one, labels) == pytest.approx(stats.spearmanr(one, labels).statistic, abs=1e-12)
        assert pearson(one, labels) == pytest.approx(np.corrcoef(one, labels)[0, 1], abs=1e-12)
        assert auc(one, labels) == (None if graded else pytest.approx(roc_auc_score(labels, one), abs=1e-12))


def test_auc_by_definition_counts_pairs():
    scores, labels, _ = data()
    pos, neg = scores[0][labels == 1], scores[0][labels == 0]
    wins = (pos[:, None] > neg).sum() + 0.5 * (pos[:, None] == neg).sum()
    assert auc(scores[0], labels) == pytest.approx(wins / (len(pos) * len(neg)), abs=1e-12)


def test_rho_is_a_function_of_auc_for_labels_without_ties_in_scores():
    """rho = (2 AUC - 1) sqrt(3 p (1 - p)) n / sqrt(n^2 - 1)."""
    scores, labels, _ = data(ties=False)
    n, p = len(labels), labels.mean()
    assert spearman(scores[1], labels) == pytest.approx((2 * auc(scores[1], labels) - 1) * np.sqrt(3 * p * (1 - p)) * n / np.sqrt(n**2 - 1), abs=1e-12)


@pytest.mark.parametrize("graded", [False, True])
def test_ceiling_is_the_rho_of_a_perfect_order(graded):
    _, labels, _ = data(graded=graded)
    perfect = np.argsort(np.argsort(labels + 1e-6 * np.random.default_rng().random(len(labels))))
    assert ceiling(labels) == pytest.approx(spearman(perfect, labels), abs=1e-12)


def test_ceiling_of_mrpc_validation_by_the_closed_form():
    labels = np.repeat([1.0, 0.0], [279, 129])
    assert ceiling(labels) == pytest.approx(np.sqrt(3 * (279 / 408) * (129 / 408)), abs=1e-5)


def test_ties_by_hand():
    assert tied(np.array([1, 2, 2, 3, 3, 3, 4, 5, 6, 7])) == 0.5


def test_equal_scores_have_no_correlation_and_an_auc_of_one_half():
    labels = np.array([0.0, 1, 1, 0])
    assert spearman(np.ones(4), labels) is None
    assert pearson(np.ones(4), labels) is None
    assert spearman(labels, np.ones(4)) is pearson(labels, np.ones(4)) is None
    assert auc(np.ones(4), labels) == 0.5


@pytest.mark.parametrize("graded", [False, True])
def test_bootstrap_equals_repeating_the_rows_of_the_drawn_components(graded, monkeypatch):
    """The same draws, expanded row by row and given to SciPy and scikit-learn; in several chunks."""
    scores, labels, component = data(n=40, graded=graded)
    monkeypatch.setattr(correlation, "CELLS", 40 * 16)
    found = bootstrap(scores, labels, component, 50, seed=7)
    rng, names = np.random.default_rng(7), np.unique(component)
    for start in range(0, 50, 16):
        size = min(16, 50 - start)
        for b, drawn in enumerate(rng.integers(0, len(names), size=(size, len(names)))):
            rows = np.concatenate([np.flatnonzero(component == names[i]) for i in drawn])
            for k, one in enumerate(scores):
                assert found["spearman"][k, start + b] == pytest.approx(stats.spearmanr(one[rows], labels[rows]).statistic, abs=1e-12)
                assert found["pearson"][k, start + b] == pytest.approx(stats.pearsonr(one[rows], labels[rows]).statistic, abs=1e-11)
                if graded:
                    assert np.isnan(found["auc"][k, start + b])
                else:
                    assert found["auc"][k, start + b] == pytest.approx(roc_auc_score(labels[rows], one[rows]), abs=1e-12)


@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize("most", [3, 5000])  # 5000: sums beyond 16 bits
def test_weighted_statistics_equal_repeating_the_rows(graded, most):
    scores, labels, _ = data(n=40, graded=graded)
    weights = np.random.default_rng().integers(0, most, size=(40, 7))  # 7: no whole number of words
    found = correlation.weighted(scores, labels, lambda start, stop: weights[:, start:stop], 7)
    for b, times in enumerate(weights.T):
        x, y = np.repeat(scores, times, axis=1), np.repeat(labels, times)
        assert found["spearman"][:, b] == pytest.approx([stats.spearmanr(one, y).statistic for one in x], abs=1e-12)
        assert found["pearson"][:, b] == pytest.approx([stats.pearsonr(one, y).statistic for one in x], abs=1e-11)
        assert found["auc"][:, b] == pytest.approx([np.nan if graded else roc_auc_score(y, one) for one in x], abs=1e-12, nan_ok=True)


def test_weighted_statistics_are_undefined_where_scores_or_labels_are_equal():
    weights = np.array([[1.0, 1, 0, 0], [1, 0, 1, 0], [1, 0, 1, 0]])  # everything; label 0 only; two equal scores with labels 1 and 0; nothing
    found = correlation.weighted(np.array([[1.0, 2, 2]]), np.array([0.0, 1, 0]), lambda start, stop: weights[:, start:stop], 4)
    assert np.isnan(found["spearman"][0]).tolist() == [False, True, True, True]
    assert np.isnan(found["pearson"][0]).tolist() == [False, True, True, True]
    assert np.isnan(found["auc"][0]).tolist() == [False, True, False, True]


def test_the_resamples_of_a_seed_do_not_depend_on_the_memory(monkeypatch):
    given = *data(), 50, 3
    found = []
    for cells in (1, 60 * 12, 1 << 18):
        monkeypatch.setattr(correlation, "CELLS", cells)
        found.append(bootstrap(*given))
    for other in found[1:]:
        for name, values in other.items():
            np.testing.assert_allclose(values, found[0][name], rtol=0, atol=1e-12)


def test_resamples_with_one_label_are_left_out_and_counted():
    labels = np.array([1.0, 0.0, 1.0])
    found = bootstrap(np.array([[0.1, 0.2, 0.3]]), labels, np.arange(3), 2000, seed=0)
    undefined = np.isnan(found["spearman"][0])
    assert np.array_equal(undefined, np.isnan(found["auc"][0]))
    assert undefined.mean() == pytest.approx((1 + 8) / 27, abs=0.05)  # all draws negative, or all positive


def test_whole_components_are_drawn():
    """Pairs of one component always occur equally often, and each component as often as it was drawn."""
    component = np.array([0, 0, 0, 5, 7, 7])
    weights = correlation.resample_weights(component, 1000, np.random.default_rng(0))
    assert (weights[0] == weights[1]).all()
    assert (weights[1] == weights[2]).all()
    assert (weights[[0, 3, 4]].sum(axis=0) == 3).all()
    assert weights.mean(axis=1) == pytest.approx(np.ones(6), abs=0.1)


def test_clusters_widen_the_interval():
    """Twenty copies of each of thirty pairs carry the information of thirty."""
    rng = np.random.default_rng(0)
    labels = np.tile((rng.random(30) < 0.5).astype(float), 20)
    scores = np.tile(rng.standard_normal(30), 20)[None]
    clustered = bootstrap(scores, labels, np.tile(np.arange(30), 20), 400, 0)["spearman"]
    naive = bootstrap(scores, labels, np.arange(600), 400, 0)["spearman"]
    assert clustered.std() / naive.std() == pytest.approx(np.sqrt(20), rel=0.2)


def test_interval_width_matches_the_known_standard_error():
    """For independent normal scores the standard error of rho at n = 408 is near 1 / sqrt(n - 1) = .050 (.041 at MRPC's rho of .43)."""
    rng = np.random.default_rng(3)
    found = bootstrap(rng.standard_normal((1, 408)), (rng.random(408) < 0.684).astype(float), np.arange(408), 2000, 0)["spearman"]
    assert found.std() == pytest.approx(1 / np.sqrt(407), rel=0.1)


def table_of(scores, labels, component, splits, **changes):
    n = len(labels)
    pairs = pl.DataFrame({"pair_id": np.arange(n), "split": splits, "label": labels, "component": component})
    rows = [
        pairs.select("pair_id", "split", "label").with_columns(
            pl.lit("m").alias("encoder"),
            pl.lit("mean").alias("pooling"),
            pl.lit("none").alias("correction"),
            pl.lit(k, pl.Int32).alias("layer"),
            pl.lit("cosine").alias("similarity"),
            pl.Series("score", one),
        )
        for k, one in enumerate(scores)
    ]
    shuffled = pl.concat(rows).sample(fraction=1, shuffle=True)
    return correlate(shuffled, pairs, changes.get("subsets", {}), changes.get("settings", SETTINGS))


def test_table_has_every_encoder_layer_split_and_subset():
    scores, labels, component = data(n=90)
    splits = ["train"] * 50 + ["test"] * 40
    table = table_of(scores, labels, component, splits, subsets={"train-20": ["train", 20]})
    assert table.group_by("split", maintain_order=True).len().rows() == [("train", 3), ("test", 3), ("train-20", 3)]
    row = table.row(by_predicate=(pl.col("split") == "train-20") & (pl.col("layer") == 2), named=True)
    assert row["n"] == 20
    assert row["spearman"] == pytest.approx(spearman(scores[2][:20], labels[:20]))
    assert row["spearman_of_ceiling"] == pytest.approx(row["spearman"] / ceiling(labels[:20]))
    assert (row["positives"], row["components"]) == (pytest.approx(labels[:20].mean()), len(np.unique(component[:20])))
    resampled = bootstrap(scores[:, :20], labels[:20], component[:20], 300, [1, zlib.crc32(b"train-20")])["spearman"][2]
    assert [row["spearman_low"], row["spearman_high"]] == pytest.approx(np.nanquantile(resampled, [0.05, 0.95]).tolist())
    assert row["resamples"] == np.isfinite(resampled).sum()


def test_graded_labels_have_no_auc_and_no_share_of_positives():
    scores, labels, component = data(graded=True)
    table = table_of(scores, labels, component, ["test"] * 60)
    assert table["auc"].null_count() == table["auc_low"].null_count() == table["positives"].null_count() == 3
    assert table["spearman_high"].null_count() == 0


def test_resamples_do_not_depend_on_the_company(monkeypatch):
    """An encoder's interval is the same alone and beside others: runs with other models can be compared."""
    scores, labels, component = data()
    alone, beside = (table_of(s, labels, component, ["test"] * 60)["spearman_low"][0] for s in (scores[:1], scores))
    assert alone == pytest.approx(beside, abs=1e-12)


def test_layer_is_selected_on_train_and_reported_elsewhere():
    """Layer 0 is best on train, layer 1 on test: layer 0 is reported."""
    labels = np.tile([0.0, 1.0], 20)
    scores = np.stack([np.where(np.arange(40) < 20, labels, -labels), np.where(np.arange(40) < 20, -labels, labels)]) + 1e-3 * np.random.default_rng(0).random(
        (2, 40)
    )
    table = table_of(scores, labels, np.arange(40), ["train"] * 20 + ["test"] * 20)
    rows, chosen_on = correlation.selected(table)
    assert chosen_on == "train"
    assert rows["layer"].to_list() == [0, 0]
    metrics = correlation.metrics(table, "d")
    assert metrics["splits"]["test"]["m"]["layer"] == 0
    assert metrics["splits"]["test"]["m"]["spearman"] < 0


def test_a_layer_whose_scores_are_all_equal_on_a_split_is_not_selected():
    labels = np.tile([0.0, 1.0], 20)
    scores = np.stack([np.where(np.arange(40) < 20, labels, 1.0), 0.1 * labels + np.random.default_rng(0).random(40)])
    rows, _ = correlation.selected(table_of(scores, labels, np.arange(40), ["train"] * 20 + ["test"] * 20))
    assert rows["layer"].to_list() == [1, 1]


def test_csv_round_trip_keeps_types(tmp_path):
    scores, labels, component = data(graded=True)
    table = table_of(scores, labels, component, ["test"] * 60)
    table.write_csv(tmp_path / "t.csv")
    assert pl.read_csv(tmp_path / "t.csv", schema_overrides=correlation.TYPES).schema == table.schema
