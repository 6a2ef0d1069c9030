"""What the card of the embedded sample says of its pairs."""

import hashlib
from collections import Counter

import polars as pl
import pytest

from pipeline.catalog.entries import entry
from pipeline.text.pairs import prepare
from pipeline.text.settings import Prepare
from tests.helpers import ROOT

KINDS = {
    "hard": {"reworded": 1, "reordered": 1, "trimmed": 1, "altered": 0, "altered_reworded": 0, "related": 0},
    "usual": {"paraphrase": 1, "near_miss": 0, "same_event": 0},
}
NAMES = ("sample", "sample-hard")
HARD = {"train": 372, "validation": 115, "test": 267}


def part(name):
    return pl.read_csv(ROOT / f"data/sample/{name}.tsv", separator="\t", quote_char=None)


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture(scope="module")
def rows():
    return pl.concat([part(name) for name in KINDS])


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_has_one_label(name):
    table = part(name)
    assert dict(table.select("kind", "label").unique().iter_rows()) == KINDS[name]
    assert table.select("kind", "label").n_unique() == len(KINDS[name])


def test_a_story_and_a_sentence_lie_in_one_split_and_no_pair_is_there_twice(rows):
    assert rows.group_by("story").agg(pl.col("split").n_unique())["split"].max() == 1
    sides = rows.select("split", sentence=pl.concat_list("sentence1", "sentence2")).explode("sentence")
    assert sides.group_by("sentence").agg(pl.col("split").n_unique())["split"].max() == 1
    pairs = Counter(frozenset(pair) for pair in rows.select("sentence1", "sentence2").iter_rows())
    assert max(pairs.values()) == 1
    assert {len(pair) for pair in pairs} == {2}


def test_the_split_of_a_usual_story_and_the_order_of_usual_pairs_follow_from_hashes():
    """Of the text alone, so that nobody chose them by what a model makes of them."""
    table = part("usual")
    for story, split in table.select("story", "split").unique().iter_rows():
        share = int(digest(story)[:8], 16) / 2**32
        assert split == ("train" if share < 1 / 3 else "validation" if share < 1 / 2 else "test")
    for of_split in table.partition_by("split"):
        hashes = [digest(f"{a}\t{b}") for a, b in of_split.select("sentence1", "sentence2").iter_rows()]
        assert hashes == sorted(hashes)


def test_the_hard_pairs_come_first_in_each_split_and_are_a_data_set_of_their_own(monkeypatch):
    monkeypatch.chdir(ROOT)
    ours = {name: prepare(entry("datasets", name), name, Prepare(limit=None)) for name in NAMES}
    whole, hard = (ours[name] for name in NAMES)
    assert hard.info["splits"] == HARD
    assert whole.info["subsets"] == {"test-hard": ["test", HARD["test"]]}
    for split, count in HARD.items():
        first = whole.pairs.filter(split=split).head(count).select("idx", "label")
        assert first.equals(hard.pairs.filter(split=split).select("idx", "label"))
