"""Which train pairs are learned from."""

import numpy as np
import polars as pl
import pytest
import yaml

from pipeline.base.errors import InputError
from pipeline.finetune.card import card
from pipeline.finetune.pairs import letters, positive_from, train_pairs
from tests.helpers import pairs_table


@pytest.fixture
def study():
    """Four train pairs and a test pair; the second train pair has the test pair's first sentence in other spelling."""
    texts = ["A b.", "c", "It's RAINING , today .", "d", "e", "f", "g", "h", "It's raining, today", "i"]
    pairs = pairs_table([1, 0, 1, 0, 1], ["train"] * 4 + ["test"])
    return pairs, pl.DataFrame({"sentence_id": range(10), "text": texts})


def test_a_pair_with_a_sentence_that_is_reported_on_is_left_out_whatever_its_spelling(study):
    found = train_pairs(*study, None)
    assert found.left_out == 1
    assert len(found) == 3
    assert found.labels.tolist() == [1, 1, 0]
    sides = [(found.texts[a], found.texts[b]) for a, b in zip(found.first, found.second)]
    assert sides == [("A b.", "c"), ("e", "f"), ("g", "h")]


def test_another_data_set_gives_its_train_pairs_without_those_of_the_study(study, tmp_path, monkeypatch):
    rows = ["split\tlabel\tsentence1\tsentence2", "train\t3\tone\ttwo", "train\t5\tIts raining, TODAY!\tthree"]
    (tmp_path / "other.tsv").write_text(
        "\n".join([*rows, "train\t1\tfour\tfive", "test\t4\tsix\tseven", "test\t1\tn\tm"])
    )
    (tmp_path / "catalog.yaml").write_text(yaml.safe_dump({"datasets": {"other": {"path": "other.tsv"}}}))
    monkeypatch.chdir(tmp_path)
    found = train_pairs(*study, "other")
    assert (found.left_out, found.labels.tolist(), found.texts) == (1, [3, 1], ["one", "two", "four", "five"])


def test_nothing_left_is_one_line(study):
    pairs, sentences = study
    with pytest.raises(InputError, match="the study's train pairs all have a sentence that the study reports on"):
        train_pairs(pairs[[1, 4]], sentences, None)


def test_the_card_says_what_was_kept_and_stands_a_rho_that_is_undefined():
    settings = {"dataset": None, "method": "lora", "loss": "cosent", "pooling": "mean", "shuffle_labels": True}
    history = [{"epoch": 0, "rho": None}, {"epoch": 1, "rho": 0.25}]
    facts = {"model": "m", "base": "b", "dataset": "d", "layer": 3, "pairs": 7, "held_out": 2, "left_out": 1}
    text = card(facts | {"settings": settings, "history": history, "kept": 1})
    assert "went from undefined to 0.250 (epoch 1, which is the one that was kept, of 1)" in text
    assert "A control: the train labels were permuted" in text
    assert "1 train pairs with a sentence of another split were left out" in text


@pytest.mark.parametrize(("text", "expected"), [("It 's $ 2.11 .", "its211"), ("Ça_va ?", "çava"), ("...", "...")])
def test_letters_by_hand(text, expected):
    assert letters(text) == expected


@pytest.mark.parametrize(
    ("labels", "given", "expected"), [([0, 1, 1], None, 1), ([0, 2.5, 5], None, 4), ([0, 5], 3.0, 3), ([1, 5], None, 4)]
)
def test_paraphrases_begin_at(labels, given, expected):
    assert positive_from(np.array(labels, dtype=float), given) == expected
