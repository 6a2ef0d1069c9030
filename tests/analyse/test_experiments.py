"""Experiments compared on the pairs that they share, against a slow computation of the same."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import spearmanr

from pipeline.analyse.experiments import Scored, compare, same_pairs
from pipeline.analyse.settings import Correlate
from pipeline.base.errors import InputError
from pipeline.formats.scores import KEYS, Scores
from pipeline.report.experiments import lines
from tests.helpers import pairs_table

SETTINGS = Correlate(resamples=2000, confidence=0.95, seed=3)
HALF = 60


def experiment(name, labels, scores, order=None):
    """2 * HALF pairs, train then test; scores {(encoder, layer): (n,)}; `order`: the rows, where some go elsewhere."""
    count = len(labels)
    table = pairs_table(labels, ["train"] * HALF + ["test"] * (count - HALF))
    texts = {f"sentence{number}": pl.format("{} of " + str(number), pl.col("pair_id")) for number in (1, 2)}
    table = table.with_columns(**texts)
    order = np.arange(count) if order is None else order
    table = table[order].with_columns(pair_id=pl.int_range(len(order)), component=pl.int_range(len(order)))
    keys = pl.DataFrame(
        [
            {"encoder": e, "pooling": "mean", "correction": "none", "layer": k, "similarity": "cosine"}
            for e, k in scores
        ],
        schema_overrides={"layer": pl.Int32},
    )
    values = np.stack([values[order] for values in scores.values()])
    return Scored(name, table, Scores(keys.select(KEYS), values))


@pytest.fixture
def labels(rng):
    return rng.integers(0, 2, 2 * HALF).astype(float)


def noisy(rng, labels, noise):
    return labels + noise * rng.standard_normal(len(labels))


def test_rho_is_that_of_the_layer_that_train_chose_and_the_difference_has_the_paired_interval(rng, labels):
    good, changed = (noisy(rng, labels, noise) for noise in (1, 2))
    bad = noisy(rng, -labels, 0.3)  # never the better one by chance
    first = experiment("first", labels, {("m", 0): bad, ("m", 1): good})
    other = experiment("other", labels, {("m", 0): changed, ("m", 1): bad})
    table, same = compare([first, other], [None, None], SETTINGS)
    [row] = table.to_dicts()
    test = slice(HALF, None)
    assert same == []
    assert (row["experiment"], row["against"], row["layer"], row["against_layer"]) == ("other", "first", 0, 1)
    assert row["n"] == HALF
    rho = [spearmanr(scores[test], labels[test]).statistic for scores in (changed, good)]
    assert np.allclose([row["spearman"], row["against_spearman"]], rho, atol=1e-12)
    assert row["difference"] == pytest.approx(rho[0] - rho[1], abs=1e-12)
    slow = []
    for _ in range(1000):  # resamples of our own: pairs are components of one here
        drawn = rng.integers(0, HALF, HALF)
        slow.append(
            spearmanr(changed[test][drawn], labels[test][drawn]).statistic
            - spearmanr(good[test][drawn], labels[test][drawn]).statistic
        )
    low, high = np.quantile(slow, [0.025, 0.975])
    spread = np.std(slow)
    error = (
        6 * spread * np.sqrt(0.025 * 0.975 / 1000) / 0.0584 * np.sqrt(1.5)
    )  # of both quantiles; .0584: density there
    assert abs(row["difference_low"] - low) < error
    assert abs(row["difference_high"] - high) < error
    assert 0 < row["p"] <= 1


def test_what_is_the_same_is_not_tested_and_what_differs_is_found(rng, labels):
    good, bad, same = noisy(rng, labels, 0.2), noisy(rng, labels, 30), noisy(rng, labels, 1)
    first = experiment("first", labels, {("m", 0): bad, ("w", 0): same})
    other = experiment("other", labels, {("m", 0): good, ("w", 0): same})
    table, equal = compare([first, other], [None, None], SETTINGS)
    assert equal == ["w"]
    assert table["encoder"].to_list() == ["m"]
    assert table["p"][0] < 0.01
    assert table["difference_low"][0] > 0
    text = "\n".join(lines(table, equal, 2 * HALF, "train"))
    assert "other: m (layer 0) against first: m (layer 0)" in text
    assert "not significant" not in text
    assert text.endswith("the same scores on both sides, so nothing to test: w")
    nothing = "\n".join(lines(*compare([first, first], [None, None], SETTINGS), 2 * HALF, "train"))
    assert nothing == f"{2 * HALF} pairs in common, and nothing to test: every score that is compared is the same."


def test_pairs_are_found_again_in_another_order_and_those_that_one_side_lacks_are_left_out(rng, labels):
    scores = {("m", 0): noisy(rng, labels, 1)}
    changed = {("m", 0): noisy(rng, labels, 1)}
    order = rng.permutation(2 * HALF)[:-7]
    first = experiment("first", labels, scores)
    shuffled, ordered = (experiment("other", labels, changed, rows) for rows in (order, np.sort(order)))
    rows, others = same_pairs([first, shuffled])
    assert len(rows) == 2 * HALF - 7
    assert np.array_equal(order[others], rows)
    one, two = (compare([first, other], [None, None], SETTINGS)[0] for other in (shuffled, ordered))
    assert one.equals(two)


def test_a_pair_that_occurs_twice_is_met_twice_and_other_pairs_are_not_met(labels):
    first = experiment("first", labels, {("m", 0): labels})
    twice = first.pairs[[0, 0, 1]].with_columns(pair_id=pl.int_range(3))
    doubled = Scored("twice", twice, first.scores)
    assert [rows.tolist() for rows in same_pairs([doubled, doubled])] == [[0, 1, 2]] * 2
    assert [rows.tolist() for rows in same_pairs([doubled, first])] == [[0, 2], [0, 1]]
    relabelled = Scored("other", first.pairs.with_columns(label=1 - pl.col("label")), first.scores)
    with pytest.raises(InputError, match="first, other have no pair in common"):
        same_pairs([first, relabelled])


def test_two_encoders_may_be_named_and_p_is_corrected_for_all_tests(rng, labels):
    scores = {(name, 0): noisy(rng, labels, noise) for name, noise in (("a", 1), ("b", 2), ("c", 3))}
    first = experiment("first", labels, scores)
    alone = []
    for name in "bc":
        [row] = compare([first, first], ["a", name], SETTINGS)[0].to_dicts()
        assert (row["encoder"], row["against_encoder"]) == (name, "a")
        alone.append(row["p"])
    together, _ = compare([first, first, first], ["a", "b", "c"], SETTINGS)
    least = min(1, 2 * min(alone))  # Holm's of two, by hand
    assert together["p"].to_list() == [least if p == min(alone) else max(least, p) for p in alone]
    with pytest.raises(InputError, match="the encoder of first is 'aa': did you mean a"):
        compare([first, first], ["aa", "b"], SETTINGS)
    with pytest.raises(InputError, match="--split is 'tets': did you mean test"):
        compare([first, first], ["a", "b"], SETTINGS, "tets")


def test_no_common_encoder_is_said_with_the_words_to_give(labels):
    first, other = (experiment(name, labels, {(name[0], 0): labels}) for name in ("first", "other"))
    with pytest.raises(InputError, match="such as first:f other:o"):
        compare([first, other], [None, None], SETTINGS)


def test_on_the_split_that_layers_are_chosen_on_the_lines_warn(rng, labels):
    one, two = (experiment(name, labels, {("m", 0): noisy(rng, labels, 1)}) for name in ("one", "two"))
    table, same = compare([one, two], [None, None], SETTINGS, "train")
    assert "WARNING: the layers were chosen on train too" in "\n".join(lines(table, same, 2 * HALF, "train"))
