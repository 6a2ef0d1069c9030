"""rho by layer against a loop."""

import numpy as np
import pytest

from pipeline.analyse.curves import SCHEMA, by_layer
from tests.analyse.making import ROWS, names_of, pairs_of, rho, signals_and_noise, swept

OTHERS = [("max", "centre", 0, "dot"), ("mean", "centre", 0, "dot"), ("mean", "none", 0, "dot")]


@pytest.mark.parametrize("rows", [ROWS, OTHERS])
def test_by_layer_equals_a_loop(rng, rows):
    pairs = pairs_of(rng, {"train": 30, "test": 20})
    scores, labels = signals_and_noise(rng, pairs, [0.5] * len(rows)), pairs["label"].to_numpy()
    scores[0, :30] = 2.0  # undefined on train
    mixed = pairs.sample(fraction=1, shuffle=True, seed=int(rng.integers(99)))
    table = by_layer(swept(rows, scores), mixed, {"test-9": ["test", 9]})
    expected = {}
    for split, at in {"train": slice(0, 30), "test": slice(30, 50), "test-9": slice(30, 39)}.items():
        for (name, correction, layer, similarity), row in zip(rows, scores):
            listed = names_of(name, layer)[0]
            if (correction, similarity) == (rows[0][1], rows[0][3]) and listed != "pairs_of_layers":
                expected.setdefault((listed, layer, split), []).append(rho(row[at], labels[at]))
    assert len(table) == len(expected)
    assert set(table["encoder"]) == {"m"}
    for row in table.iter_rows(named=True):
        values = expected[row["pooling"], row["layer"], row["split"]]
        for name, function in (("spearman", np.mean), ("least", np.min), ("most", np.max)):
            assert row[name] == (None if np.isnan(values[0]) else pytest.approx(function(values), abs=1e-12))


def test_an_empty_sweep_has_an_empty_table(rng):
    pairs = pairs_of(rng, {"train": 9, "test": 9})
    table = by_layer(swept([], np.empty((0, 18))), pairs, {})
    assert dict(table.schema) == SCHEMA
    assert table.is_empty()
