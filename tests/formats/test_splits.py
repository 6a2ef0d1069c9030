import polars as pl

from pipeline.formats import splits


def test_sentences_of_train_pairs_or_of_all_where_there_is_no_train():
    pairs = pl.DataFrame({"split": ["train", "test", "train"], "sentence1_id": [4, 1, 2], "sentence2_id": [2, 3, 7]})
    assert splits.train_sentences(pairs).tolist() == [2, 4, 7]
    assert splits.train_sentences(pairs.filter(split="test")).tolist() == [1, 3]
    assert splits.chosen_on(pairs["split"]) == "train"
    assert splits.chosen_on(["dev", "test"]) == "dev"


def test_groups_are_splits_and_the_first_of_a_subset():
    pairs = pl.DataFrame({"split": ["b", "a", "b", "b"]})
    groups = {name: rows.tolist() for name, rows in splits.groups(pairs, {"b-2": ("b", 2)}).items()}
    assert groups == {"b": [0, 2, 3], "a": [1], "b-2": [0, 2]}
