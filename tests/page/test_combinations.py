"""What the browser of pairs compares."""

import numpy as np
import polars as pl

from pipeline.claims.evidence import Relations
from pipeline.formats.sweeps import Swept
from pipeline.page import combinations
from pipeline.page.combinations import Scored
from tests.report import making


def test_every_combination_of_scores_is_there_once_in_the_order_of_its_layers(rng):
    material = making.material(rng)
    found = combinations.of_scores(material.scores, material.table)
    assert len(found) == len(material.scores.keys)
    assert [one.layer for one in found if one.series == "m"] == ["0", "1", "2"]
    assert [one.layer for one in found if one.selected and one.series == "m"] == ["1"]
    assert {one.series for one in found if not one.layer} == {"overlap dice", "overlap tfidf", "words"}
    row = material.scores.keys.with_row_index().filter(encoder="n", layer=2)["index"][0]
    [second] = [one for one in found if (one.series, one.layer) == ("n", "2")]
    assert np.array_equal(second.values, material.scores.values[row])


def test_of_a_sweep_each_pooling_is_there_at_the_layer_chosen_on_train(rng):
    table = making.poolings(rng)
    wanted = combinations.chosen(table, "m", "mean")
    assert wanted.columns == ["listed", "correction", "similarity", "option"]
    assert wanted["listed"].to_list() == ["max", "attention", "diagonal", "scalar_mix", "pairs_of_layers"]
    assert wanted["option"].to_list() == ["1", "1", "1", "", "0+2"]


def test_of_a_learned_pooling_the_first_run_is_shown():
    keys = {"encoder": "m", "pooling": ["attention_2", "attention_0", "max"], "correction": "none", "layer": 1}
    keys |= {"similarity": "cosine", "listed": ["attention", "attention", "max"], "run": [2, 0, None], "option": "1"}
    swept = Swept(pl.DataFrame(keys), np.arange(6.0).reshape(3, 2), {})
    found = combinations.of_sweep(swept, "m")
    assert [(one.series, one.values[0]) for one in found] == [("m, attention, run 1", 2.0), ("m, max", 4.0)]


def test_too_many_layers_are_thinned_but_for_the_ends_and_the_chosen_one():
    scored = [Scored("m", "m", str(layer), layer == 7, False, np.zeros(1)) for layer in range(32)]
    scored.append(Scored("dice", "overlap", "", True, False, np.zeros(1)))
    assert combinations.thinned(scored, 33) == (scored, False)
    kept, fewer = combinations.thinned(scored, 20)
    assert fewer
    assert len(kept) <= 20
    assert {"0", "7", "31", ""} <= {one.layer for one in kept}


def test_a_tuned_model_is_compared_with_its_base_at_the_same_layer():
    scored = [
        Scored(name, name, str(layer), layer == at, False, np.zeros(1))
        for name, at in (("base", 0), ("t", 2))
        for layer in range(3)
    ]
    related = Relations(["base", "t"], [], conditions=[("t", "base", "fine-tuning")])
    first = combinations.comparisons(scored, related, best="t", reference=None)[0]
    assert "fine-tuning" in first["label"]
    assert [(scored[first[side]].series, scored[first[side]].layer) for side in ("a", "b")] == [
        ("base", "2"),
        ("t", "2"),
    ]
    labels = [one["label"] for one in combinations.comparisons(scored, Relations(["base"], []), "t", "base")]
    assert labels == ["base and t", "base: first and last layer"]
