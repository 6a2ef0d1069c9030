"""Evidence from cost and geometry: planted rows, and what is not of this study."""

from statistics import NormalDist

import numpy as np
import polars as pl
import pytest

from pipeline.claims import from_beside
from pipeline.claims.decide import CONTRADICTED, SUPPORTED, UNRESOLVED, UNTESTED
from pipeline.claims.evidence import Relations
from pipeline.claims.judge import verdict
from pipeline.claims.remedies import COST, GEOMETRY, NO_ENCODER, NO_GPU, NO_VECTORS
from pipeline.formats.efficiency import EFFICIENCY
from pipeline.formats.geometry import MEASURED, polars_schema
from pipeline.formats.tables import schema_of
from pipeline.geometry.run import facts as measures
from pipeline.stats.halves import apart

RELATED = Relations(models=["m"], baselines=["glove", "e"], vectors="glove", encoders=["e"])


def cost(encoder, ms, layer=None, spread=0.01, gpu=None, peak=1e8, error=None, size=1):
    row = {"name": encoder, "encoder": encoder, "layer": layer, "similarity": None if error else "cosine"}
    row |= {"batch_size": size, "pairs": 32, "peak_bytes": int(peak), "gpu_allocated_bytes": gpu, "error": error}
    return row | {"ms": ms, "ms_low": ms * (1 - spread), "ms_high": ms * (1 + spread)}


def costs(*rows, related=RELATED, unlike=None):
    table = pl.DataFrame(list(rows), schema=schema_of(EFFICIENCY))
    evidence = from_beside.costs(table, related, unlike or {})
    return {row["measure"]: row for row in (verdict(one, related) for one in evidence)}


@pytest.mark.parametrize(
    ("times", "spread", "wanted"),
    [(700, 0.01, SUPPORTED), (100, 0.01, CONTRADICTED), (2000, 0.01, CONTRADICTED), (350, 0.1, UNRESOLVED)],
)
def test_how_many_times_as_long(times, spread, wanted):
    layers = [cost("m", ms, layer, spread) for layer, ms in ((0, 0.1), (1, times / 2), (24, times))]
    found = costs(*layers, cost("m", 0.1, 24, size=32), cost("glove", 1.0, spread=spread), cost("e", 10.0))
    row = found["time"]
    assert (row["verdict"], row["value"], row["layer"], row["against"]) == (wanted, times, 24, "glove")
    assert row["low"] == pytest.approx(times * (1 - spread) / (1 + spread))
    assert row["high"] == pytest.approx(times * (1 + spread) / (1 - spread))
    assert found["time_to_the_shallow_layer"]["layer"] == 1
    assert found["time_to_the_shallow_layer"]["value"] == times / 2
    assert found["encoder_time"]["verdict"] == SUPPORTED
    assert {row["command"] for row in found.values() if row["verdict"] != UNTESTED} == {
        "dvc --cd cost repro && dvc repro claims"
    }


@pytest.mark.parametrize(("theirs", "wanted"), [(1.0, SUPPORTED), (None, CONTRADICTED), (0.5, CONTRADICTED)])
def test_memory(theirs, wanted):
    gpu = None if theirs is None else int(theirs * 3e9)
    found = costs(cost("m", 1, 24, gpu=int(3e9), peak=2e9), cost("glove", 1, gpu=gpu, peak=1e9))
    assert found["gpu_memory"]["verdict"] == wanted
    assert (found["gpu_memory"]["ours"], found["gpu_memory"]["other"]) == (gpu or 0, 3e9)
    assert (found["memory"]["verdict"], found["memory"]["value"]) == (CONTRADICTED, 0.5)


def test_what_was_not_measured_and_why():
    found = costs(cost("m", 1, 24), cost("glove", 1))
    assert (found["gpu_memory"]["verdict"], found["gpu_memory"]["why"]) == (UNTESTED, NO_GPU)
    assert found["encoder_time"]["why"] == "e: nobody has measured it"
    found = costs(unlike={"m": "it was measured on other pairs", "glove": "x"})
    assert {row["verdict"] for row in found.values()} == {UNTESTED}
    assert (found["time"]["why"], found["time"]["command"]) == ("it was measured on other pairs", COST)
    found = costs(cost("m", 1, error="out of memory"), cost("glove", 1))
    assert found["time"]["why"] == "the measurement failed: out of memory"
    found = costs(cost("m", 1, 24), related=Relations(models=["m"], baselines=[]))
    assert (found["time"]["why"], found["encoder_time"]["why"]) == (NO_VECTORS, NO_ENCODER)
    assert "glove-6b-50d" in found["time"]["command"]


def shape(name, values, reach=0.01, pooling=None, model="m"):
    base = {"encoder": model, "level": "tokens", "pooling": pooling, "measure": name, "sentences": 500, "dim": 8}
    return [base | {"layer": at, "value": v, "low": v - reach, "high": v + reach} for at, v in enumerate(values)]


FACTS = {"measures": measures(), "confidence": 0.95}


def shapes(rows, facts=FACTS, unlike=None):
    table = pl.DataFrame(rows, schema=polars_schema(MEASURED))
    evidence = from_beside.shapes(table, facts, RELATED, unlike or {}, {"m": "mean"})
    return {row["variant"] or row["measure"]: row for row in (verdict(one, RELATED) for one in evidence)}


FALLING, RISING, LEVEL = np.linspace(2, 1, 9), np.linspace(1, 2, 9), np.linspace(2, 1.999, 9)


@pytest.mark.parametrize(("values", "falls"), [(FALLING, SUPPORTED), (RISING, CONTRADICTED), (LEVEL, UNRESOLVED)])
def test_curves_over_depth(values, falls):
    opposite = {SUPPORTED: CONTRADICTED, CONTRADICTED: SUPPORTED, UNRESOLVED: UNRESOLVED}[falls]
    names = [name for name, one in FACTS["measures"].items() if one["claim"]]
    found = shapes([row for name in names for row in shape(name, values)])
    assert {name: found[name]["verdict"] for name in names} == {
        name: opposite if name == "dilution" else falls for name in names
    }
    row = found["token_softmax_entropy"]
    assert (row["layer"], row["other_layer"], row["n"]) == (4, 1, 500)
    assert row["value"] == pytest.approx(values[4] - values[1])
    assert row["command"] == "dvc --cd geometry repro && dvc repro claims"


@pytest.mark.parametrize(("value", "wanted"), [(3, SUPPORTED), (1.5, CONTRADICTED), (2.005, UNRESOLVED)])
def test_how_many_tokens_carry_the_mean(value, wanted):
    assert shapes(shape("dilution", [value] * 9))["few_carriers"]["verdict"] == wanted


def test_geometry_of_other_vectors_or_of_another_study_is_not_used():
    found = shapes(shape("spectral_entropy", FALLING, pooling="last"))
    assert found["entropy"]["verdict"] == UNTESTED
    assert "last" in found["entropy"]["why"]
    assert shapes(shape("spectral_entropy", FALLING, pooling="mean"))["spectral_entropy"]["verdict"] == SUPPORTED
    found = shapes(shape("spectral_entropy", FALLING), unlike={"m": "it has changed since it was measured"})
    assert {(row["verdict"], row["command"]) for row in found.values()} == {(UNTESTED, GEOMETRY)}
    assert {row["why"] for row in found.values()} == {"it has changed since it was measured"}
    found = shapes([], facts={})
    assert {row["measure"] for row in found.values()} == {"entropy", "signal_to_noise"}


def test_the_test_of_two_layers_is_that_of_two_normal_errors_by_hand():
    z = NormalDist().inv_cdf(0.975)
    found = apart(np.array([3.0, 3 - 3 * z, 3 + 3 * z]), np.array([1.0, 0.5, 1 + 4 * z]), 0.95)  # the second was cut
    assert [found.value[0], found.low[0], found.high[0]] == pytest.approx([2, 2 - 5 * z, 2 + 5 * z])
    assert found.p[0] == pytest.approx(2 * NormalDist().cdf(-2 / 5))
    assert np.isnan(apart(np.array([3.0, np.nan, np.nan]), np.array([1.0, 0, 2]), 0.95).p[0])
