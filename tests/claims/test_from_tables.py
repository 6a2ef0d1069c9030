"""Evidence from the tables of probes and poolings: planted rows."""

import polars as pl
import pytest

from pipeline.claims import from_tables
from pipeline.claims.decide import CONTRADICTED, SUPPORTED, UNRESOLVED, UNTESTED
from pipeline.claims.evidence import Relations
from pipeline.claims.judge import verdict
from pipeline.claims.remedies import ATTENTION, NO_OVERLAP, PROBES
from pipeline.formats.tables import POOLINGS, schema_of
from pipeline.formats.tables import PROBES as COLUMNS

RELATED = Relations(models=["m", "n"], baselines=["overlap"])
ESTIMATES = {
    SUPPORTED: (0.2, 0.1, 0.3, 0.001),
    CONTRADICTED: (-0.2, -0.3, -0.1, 0.001),
    UNRESOLVED: (0.1, -0.1, 0.3, 0.3),
}


def named(name, wanted, p):
    value, low, high, of_none = ESTIMATES[wanted]
    return {name: value, f"{name}_low": low, f"{name}_high": high} | ({p: of_none} if p else {})


def probe_rows(gains, chosen=UNRESOLVED):
    """Layers 0 to 8 of two probes of m on test, with a gain each, the last of them selected."""
    rows = []
    for layer, wanted in enumerate(gains):
        row = {"encoder": "m", "probe": "bilinear", "layer": layer, "selected": layer == 8, "metric": "accuracy"}
        row |= {"split": "test", "n": 99, "accuracy": 0.7, "spearman": 0.5, "zero_shot_spearman": 0.3}
        row |= named("gain", wanted, "gain_p") | named("selectivity", chosen, None) | named("difference", chosen, "p")
        rows.append(row)
    return rows


def judged(evidence):
    return {(row["measure"], row["model"]): row for row in (verdict(one, RELATED) for one in evidence)}


@pytest.mark.parametrize(
    ("gains", "wanted"),
    [
        ([UNRESOLVED] * 6 + [SUPPORTED] + [UNRESOLVED] * 2, SUPPORTED),
        ([SUPPORTED] * 5 + [UNRESOLVED] * 4, UNRESOLVED),  # layer 4 of 8 is no deep one
        ([SUPPORTED] * 5 + [CONTRADICTED] * 4, CONTRADICTED),
        ([SUPPORTED] * 5 + [CONTRADICTED] * 3 + [UNRESOLVED], UNRESOLVED),
    ],
)
def test_probes_of_deep_layers_against_their_cosine(gains, wanted):
    table = pl.DataFrame(probe_rows(gains), schema=schema_of(COLUMNS))
    found = judged(from_tables.probes(table, RELATED, ["test"]))
    row = found["probe_minus_cosine", "m"]
    assert (row["verdict"], row["compared"], row["variant"]) == (wanted, 4, "bilinear")
    assert row["layer"] in (5, 6, 7, 8)
    assert row["layer"] == row["other_layer"]
    missing = found["probe_minus_cosine", "n"]
    assert (missing["verdict"], missing["command"]) == (UNTESTED, PROBES)


@pytest.mark.parametrize("wanted", ESTIMATES)
def test_the_selected_probe_against_control_and_overlap(wanted):
    table = pl.DataFrame(probe_rows([UNRESOLVED] * 9, wanted), schema=schema_of(COLUMNS))
    found = judged(from_tables.probes(table, RELATED, ["test"]))
    for measure in ("probe_minus_control", "probe_minus_overlap"):
        row = found[measure, "m"]
        assert (row["verdict"], row["layer"], row["ours"]) == (wanted, 8, 0.7)
        assert row["ours"] - row["other"] == pytest.approx(row["value"])


def test_without_the_probe_of_overlap_the_command_adds_it():
    table = pl.DataFrame(probe_rows([UNRESOLVED] * 9), schema=schema_of(COLUMNS)).with_columns(
        difference=pl.lit(None, pl.Float64)
    )
    row = judged(from_tables.probes(table, RELATED, ["test"]))["probe_minus_overlap", "m"]
    assert (row["verdict"], row["why"]) == (UNTESTED, NO_OVERLAP)


@pytest.mark.parametrize("wanted", ESTIMATES)
def test_attention_against_the_mean_and_its_control(wanted):
    common = {"encoder": "m", "family": "pooling", "pooling": "attention", "split": "test", "n": 99, "layer": "3"}
    common |= {"spearman": 0.4, "detectable": 0.1}
    rows = [common | {"against": against} | named("difference", wanted, "p") for against in ("mean", "diagonal")]
    table = pl.DataFrame(rows, schema=schema_of(POOLINGS))
    found = judged(from_tables.attention(table, RELATED, ["test"]))
    for measure in ("attention_minus_mean", "attention_minus_control"):
        row = found[measure, "m"]
        assert (row["verdict"], row["layer"], row["n"]) == (wanted, 3, 99)
        assert row["other"] == pytest.approx(0.4 - row["value"])
    missing = found["attention_minus_mean", "n"]
    assert (missing["verdict"], missing["command"]) == (UNTESTED, ATTENTION)
