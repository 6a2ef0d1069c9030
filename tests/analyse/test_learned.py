"""What was learned, at the layer that was chosen."""

import polars as pl

from pipeline.analyse.compare import ALL, SCHEMA
from pipeline.analyse.learned import learned

FIT = {
    "settings": {"runs": 2, "seed": 0, "shuffle_labels": False},
    "pairs": 50,
    "layers": [0, 6],
    "poolings": {
        "attention": {
            "kept": [False, True],
            "epoch": [1, 20],
            "rho_at_start": [0.1, 0.2],
            "rho_held_out": [None, 0.75],
        },
        "diagonal": {"kept": [False, False], "epoch": [0, 0], "rho_at_start": [0.1, 0.2], "rho_held_out": [0.1, 0.2]},
        "scalar_mix": {"kept": [True], "epoch": [7], "rho_at_start": [0.1], "rho_held_out": [0.125]},
    },
}


def table(*rows):
    """A table of `compare` with a family, pooling and layer in each row."""
    return pl.DataFrame([dict(zip(("family", "pooling", "layer"), row)) for row in rows], schema=SCHEMA)


def test_each_learned_pooling_of_the_sweep_at_its_layer_by_hand():
    rows = (
        ("pooling", "mean", "0"),
        ("pooling", "attention", "6"),
        ("pooling", "scalar_mix", ""),
        (ALL, "diagonal", "0"),
    )
    found = learned(FIT, table(*rows))
    assert {name: found[name] for name in ("pairs", "shuffled", "runs")} == {"pairs": 50, "shuffled": False, "runs": 2}
    at = {"rho_at_start": 0.2, "rho_held_out": 0.75, "epoch": 20, "kept": True}
    mix = {"rho_at_start": 0.1, "rho_held_out": 0.125, "epoch": 7, "kept": True}
    assert found["poolings"] == [
        {"pooling": "attention", "layer": "6", **at},
        {"pooling": "scalar_mix", "layer": "", **mix},
    ]


def test_an_undefined_rho_stays_undefined():
    (found,) = learned(FIT, table(("pooling", "attention", "0")))["poolings"]
    assert found["rho_held_out"] is None


def test_permuted_labels_are_said():
    fit = FIT | {"settings": FIT["settings"] | {"shuffle_labels": True}}
    assert learned(fit, table())["shuffled"] is True


def test_where_nothing_was_learned_there_is_a_reason():
    assert learned({"model": "m", "nothing": "fit.poolings is empty"}, table()) == {"nothing": "fit.poolings is empty"}
