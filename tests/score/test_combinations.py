import numpy as np
import polars as pl
import pytest

from pipeline.base.errors import InputError
from pipeline.formats import scores, sweeps
from pipeline.pool.names import Correction
from pipeline.score import combinations
from pipeline.score.combinations import Table, score_vectors
from pipeline.score.similarities import SIMILARITIES, Similarity
from tests.helpers import pairs_table

KEY = {"encoder": "m", "pooling": "mean", "correction": "none", "layer": 3, "similarity": "cosine"}


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_refused_with_its_pair(bad):
    table = Table(pairs_table([0, 1, 0, 1], "train").with_columns(pl.col("pair_id") + 10))
    message = rf"the cosine of m, layer 3 is {bad} for pair 12 \(split train\), and for 2 pairs in all"
    with pytest.raises(InputError, match=message):
        table.add(np.array([0.5, 0.5, bad, bad]), **KEY)
    with pytest.raises(InputError, match=rf"the cosine of m is {bad} for pair 10"):
        table.add(np.array([bad, 0.5, 0.5, 0.5]), **(KEY | {"layer": None}))


def test_rows_are_a_combinations_pairs_one_behind_the_other(rng):
    pairs, values = pairs_table(rng.random(4), ["train", "train", "test", "test"]), rng.random((2, 4))
    table = Table(pairs)
    table.add(values[0], **KEY)
    table.add(values[1], **(KEY | {"layer": None, "similarity": "dot", "pooling": None, "correction": None}))
    (rows,) = table.parts()
    assert dict(rows.schema) == scores.SCHEMA
    assert rows["score"].to_list() == values.reshape(-1).tolist()
    assert rows["similarity"].to_list() == ["cosine"] * 4 + ["dot"] * 4
    assert rows["layer"].to_list() == [3] * 4 + [None] * 4
    for name in ("pair_id", "split", "label"):
        assert rows[name].to_list() == pairs[name].to_list() * 2
    assert scores.to_arrow(rows).num_rows == 8


@pytest.mark.parametrize("columns", [scores.COLUMNS, sweeps.COLUMNS])
def test_no_combinations_are_no_rows(columns):
    assert list(Table(pairs_table([0, 1]), columns).parts()) == []


@pytest.mark.parametrize("rows", [1, 9, 1 << 18])  # a combination has 4
def test_parts_are_whole_combinations_and_no_more_rows_than_are_held_at_once(rng, monkeypatch, rows):
    pairs, values = pairs_table(rng.random(4)), rng.random((7, 4))
    table = Table(pairs)
    for layer, of_layer in enumerate(values):
        table.add(of_layer, **(KEY | {"layer": layer}))
    monkeypatch.setattr(combinations, "ROWS_AT_ONCE", rows)
    parts = list(table.parts())
    assert [len(part) for part in parts] == {1: [4] * 7, 9: [8, 8, 8, 4]}.get(rows, [28])
    together = pl.concat(parts)
    assert together["score"].to_list() == values.reshape(-1).tolist()
    assert together["layer"].to_list() == np.repeat(np.arange(7), 4).tolist()
    assert together["pair_id"].to_list() == list(range(4)) * 7


def test_corrections_are_fitted_on_the_train_sentences_alone(rng):
    vectors = rng.standard_normal((40, 5)).astype(np.float32) + 2
    vectors[30:] *= 50  # of no train pair: a correction fitted on all would be another
    first, second = np.arange(0, 40, 2), np.arange(1, 40, 2)
    pairs = pairs_table([0, 1] * 10, ["train"] * 15 + ["test"] * 5, first, second)
    corrections = [Correction.parse(name) for name in ("none", "centre", "whitening_2")]
    similarities = [Similarity("cosine"), Similarity("dot")]
    scored = score_vectors(vectors, pairs, np.arange(30), corrections, similarities)
    assert scored.left_out == []
    order = [(str(correction), str(similarity)) for correction, similarity, _ in scored.scores]
    assert order == [(str(correction), str(similarity)) for correction in corrections for similarity in similarities]
    for correction, similarity, of_pairs in scored.scores:
        corrected = correction.fit(vectors[:30])(vectors.astype(np.float64))
        expected = SIMILARITIES[str(similarity)](corrected[first], corrected[second])
        assert of_pairs == pytest.approx(expected, abs=1e-9 * np.abs(expected).max())
        on_all = correction.fit(vectors)(vectors.astype(np.float64))
        differs = np.abs(SIMILARITIES[str(similarity)](on_all[first], on_all[second]) - expected).max() > 1e-3
        assert differs == (str(correction) != "none")


def test_a_correction_of_more_dimensions_than_there_are_is_left_out(rng):
    """A baseline of few dimensions beside a model of many: the model's correction is scored, the baseline's is not."""
    pairs = pairs_table([0, 1] * 5, "train")
    corrections = [Correction.parse(name) for name in ("none", "whitening_4", "whitening_3")]
    vectors = rng.standard_normal((20, 3))
    scored = score_vectors(vectors, pairs, np.arange(20), corrections, [Similarity("cosine")])
    assert [str(correction) for correction, *_ in scored.scores] == ["none", "whitening_3"]
    assert scored.left_out == [(corrections[1], "too few dimensions")]
