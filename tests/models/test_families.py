"""Every family of language models that transformers knows: supported, or refused by one line; none silently wrong."""

import csv

import pytest

from benchmarks.families import COLUMNS, TABLE, survey


def listed():
    with TABLE.open(encoding="utf-8") as file:
        return {row["model_type"]: row for row in csv.DictReader(file)}


def test_the_table_has_every_verdict_and_no_wrong_one():
    rows = listed()
    assert {row["verdict"] for row in rows.values()} == {"supported", "refused", "untested"}
    assert tuple(rows["gpt2"]) == COLUMNS


@pytest.mark.parametrize(
    ("name", "verdict"), [("llama", "supported"), ("albert", "supported"), ("longformer", "refused")]
)
def test_some_families_are_as_the_table_says(name, verdict):
    assert [row[1] for row in survey([name])] == [verdict] == [listed()[name]["verdict"]]


@pytest.mark.slow
def test_all_families_are_as_the_table_says():
    """python -m benchmarks.families writes the table anew, for another version of transformers."""
    found = {name: verdict for name, verdict, _ in survey()}
    assert [name for name, verdict in found.items() if verdict == "WRONG"] == []
    assert found == {name: row["verdict"] for name, row in listed().items()}
