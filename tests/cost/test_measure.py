"""Encoders in processes of their own: a row for each, and one that fails says why and stops no other."""

import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from pipeline.base import settings
from pipeline.cost import measure
from pipeline.cost.settings import Efficiency
from pipeline.formats import efficiency
from pipeline.formats.tables import schema_of
from tests.helpers import pairs_table
from tests.study import CATALOG, write_settings

PAIRS = [("a cat sat", "a dog"), ("the dog ran", "the dog"), ("one", "two three")]
NAMES = ["tiny", "overlap", "broken", "random"]


@pytest.fixture(scope="module", params=[True, False], ids=["in turns", "one by one"])
def measured(request, tmp_path_factory):
    """A model, two baselines and one whose file is not there -> table, environment."""
    folder = tmp_path_factory.mktemp("study")
    baselines = CATALOG["baselines"] | {"broken": {"kind": "vectors", "path": "nowhere.txt"}}
    write_settings(folder, CATALOG | {"baselines": baselines})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        section = settings.section(Efficiency)
        changes = {"batch_sizes": [3], "interleaved": request.param}
        names = NAMES if request.param else ["overlap", "broken"]
        return measure.measure(names, PAIRS, Efficiency(**(vars(section) | changes)), "cpu", 1)


def test_the_one_that_fails_says_why_in_a_line_and_the_others_are_measured(measured):
    table, environment = measured
    failed = table.filter(pl.col("error").is_not_null())
    assert failed["name"].to_list() == ["broken"]
    assert "nowhere.txt does not exist" in failed["error"].item()
    assert "\n" not in failed["error"].item()
    others = table.filter(pl.col("error").is_null())
    wanted = {"overlap dice", "overlap jaccard", "overlap char4"}
    if environment["interleaved"]:
        wanted |= {"tiny", "random"}
        assert set(others.filter(name="tiny")["layer"]) == {0, 2}
        assert (
            others.filter(name="tiny", layer=2)["parameters"][0] > others.filter(name="tiny", layer=0)["parameters"][0]
        )
        assert set(others.filter(encoder="random")["kind"]) == {"random"}
    assert set(others["name"]) == wanted
    for name in ("ms", "cpu_ms"):
        ordered = others.filter(pl.col(f"{name}_low") <= pl.col(name), pl.col(name) <= pl.col(f"{name}_high"))
        assert len(ordered) == len(others)
    assert (others["ms"] > 0).all()
    assert set(others["batch_size"]) <= {1, 3}
    assert (others["peak_bytes"] >= others["own_bytes"]).all()


def test_table_and_environment_are_written_and_read(measured, tmp_path):
    table, environment = measured
    efficiency.write(tmp_path / "e.csv", table)
    efficiency.write_environment(tmp_path / "e.json", environment)
    assert efficiency.read(tmp_path / "e.csv").equals(table)
    assert efficiency.read_environment(tmp_path / "e.json") == environment
    assert environment.keys() == efficiency.ENVIRONMENT.keys()


def test_a_process_that_is_killed_is_an_error_of_its_encoder():
    command = [sys.executable, "-c", "import os, sys; sys.stdin.readline(); os.kill(os.getpid(), 9)"]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, encoding="utf-8")
    with process, pytest.raises(measure.FailedError, match="killed by signal 9"):
        measure.Worker(process, {})


class Fake:
    """A worker that takes a second in the first round and two in the others, and may fail in one of them."""

    def __init__(self, log, name, fails=None):
        self.log, self.name, self.fails, self.asked, self.rounds = log, name, fails, 0, []
        variant = {"layer": None, "similarity": "cosine", "parameters": 1}
        self.facts = {"variants": [variant], "batch_sizes": [1], "pooling": "mean", "kind": "vectors", "device": "cpu"}
        self.facts["disk_bytes"] = 0

    def ask(self, request):
        self.log.append((self.name, request))
        if request == "memory":
            return {"peak_bytes": 7, "own_bytes": 5}
        if self.asked == self.fails:
            raise measure.FailedError("why not")
        self.asked += 1
        return {"timings": [[{"whole": min(self.asked, 2), "encoding": None, "cpu": self.asked}]]}


def test_encoders_take_turns_after_a_warm_up_and_one_that_fails_midway_drops_out():
    log = []
    rows = measure.in_turns({"a": Fake(log, "a"), "b": Fake(log, "b", fails=2)}, repeats=3)
    assert [name for name, _ in log] == ["a", "b", "a", "b", "a", "b", "a", "a"]
    assert [row["ms"] for row in rows["a"]] == [2000]  # the first round is left out
    assert (rows["a"][0]["cpu_ms_low"], rows["a"][0]["cpu_ms"], rows["a"][0]["cpu_ms_high"]) == (2500, 3000, 3500)
    assert rows["a"][0]["encoding_ms"] is None
    assert rows["b"] == [{"name": "b", "encoder": "b", "error": "why not"}]


def test_the_pairs_are_spread_over_all_lengths_in_the_order_of_the_data():
    lengths = [9, 1, 5, 3, 7]
    pairs = pairs_table([0, 1, 0, 1, 0])
    sentences = pl.DataFrame({"text": [text for length in lengths for text in ("x" * length, "y")]})
    assert [len(first) for first, _ in measure.spread(pairs, sentences, 3)] == [9, 1, 5]
    assert len(measure.spread(pairs, sentences, 99)) == 5


@pytest.mark.parametrize("column", ["ms", "cpu_ms"])
def test_a_row_without_a_time_or_a_reason_is_damaged(tmp_path, column):
    row = dict.fromkeys(efficiency.EFFICIENCY) | {"name": "a", "encoder": "a"} | dict.fromkeys(efficiency.MEASURED, 1.0)
    for value in (None, -1.0, np.nan):
        table = pl.DataFrame([row | {column: value}], schema=schema_of(efficiency.EFFICIENCY))
        efficiency.write(tmp_path / "e.csv", table)
        with pytest.raises(ValueError, match="without a time"):
            efficiency.read(tmp_path / "e.csv")
    efficiency.write(tmp_path / "e.csv", pl.DataFrame([row], schema=schema_of(efficiency.EFFICIENCY)))
    assert efficiency.read(tmp_path / "e.csv")["ms"].item() == 1


def test_the_worker_ends_with_its_block():
    with measure.process() as process:
        assert process.poll() is None
    assert process.returncode is not None
