"""Contract C2: distinct sentences, components, subsets, and what makes a pair useless."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import stages.prepare
from pipeline.base.errors import InputError
from pipeline.catalog.entries import Dataset
from pipeline.formats import pairs as pairs_format
from pipeline.text import pairs
from pipeline.text.settings import Prepare
from tests.helpers import contents

ALL = Prepare(limit=None)
HEADER = "split,sentence1,sentence2,label\n"
GOOD = HEADER + "train,a cat,a dog,1\ntrain,a bird,a dog,0\ntest,an eel,a fly,1\ntest,a cow,an eel,0\n"

# a-b, b-c and c-d share sentences, e-f does not, d-a closes a circle over two splits
ROWS = pl.DataFrame(
    {
        "split": ["train", "train", "train", "test", "test"],
        "sentence1": ["a cat", "a bird", "an eel", "a cow", "a dog"],
        "sentence2": ["a dog", "a dog", "a fly", "a bird", "a cat"],
        "label": [1, 0, 1, 0, 1],
    }
)


def prepared(tmp_path, rows=ROWS, settings=ALL, **fields):
    rows.write_parquet(tmp_path / "data.parquet")
    return pairs.prepare(Dataset(path=str(tmp_path / "data.parquet"), **fields), "toy", settings)


def prepared_text(tmp_path, text):
    (tmp_path / "given.csv").write_text(text)
    return pairs.prepare(Dataset(path=str(tmp_path / "given.csv")), "toy", ALL)


def slow_components(first, second):
    """Union-find over sentences: every pair joins two sets, and the sets are numbered as the pairs meet them."""
    parent = {}

    def root(x):
        while parent.setdefault(x, x) != x:
            x = parent[x]
        return x

    for a, b in zip(first, second):
        parent[root(a)] = root(b)
    numbers = {}
    return [numbers.setdefault(root(a), len(numbers)) for a in first]


def test_sentences_are_distinct_and_numbered_by_first_appearance_by_hand(tmp_path):
    toy = prepared(tmp_path)
    assert toy.sentences["text"].to_list() == ["a cat", "a dog", "a bird", "an eel", "a fly", "a cow"]
    assert toy.sentences["sentence_id"].to_list() == [0, 1, 2, 3, 4, 5]
    assert toy.pairs["sentence1_id"].to_list() == [0, 2, 3, 5, 1]
    assert toy.pairs["sentence2_id"].to_list() == [1, 1, 4, 2, 0]
    assert toy.info["sentences"] == 6


def test_pairs_and_sentences_are_read_back_as_they_were_written(tmp_path):
    toy = prepared(tmp_path, subsets={"train-2": "train[:2]"})
    pairs_format.write(tmp_path / "a/b", toy.pairs, toy.sentences, toy.info)
    table = pairs_format.read_pairs(tmp_path / "a/b/pairs.parquet")
    assert table.equals(toy.pairs)
    assert table.schema == toy.pairs.schema
    assert pairs_format.read_sentences(tmp_path / "a/b/sentences.parquet", table).equals(toy.sentences)
    assert pairs_format.read_info(tmp_path / "a/b/info.json") == toy.info


def test_the_info_has_the_keys_of_the_contract(tmp_path):
    assert prepared(tmp_path).info.keys() == pairs_format.INFO.keys()


def test_components_join_pairs_that_share_sentences_by_hand(tmp_path):
    toy = prepared(tmp_path)
    assert toy.pairs["component"].to_list() == [0, 0, 1, 0, 0]
    assert toy.info["components"] == 2


@pytest.mark.parametrize("n", [12, 40, 120])  # dense and sparse graphs
def test_components_against_a_slow_union_find(n, rng):
    first, second = rng.integers(0, n, size=(2, 40))
    assert pairs.components(first, second, n).tolist() == slow_components(first, second)


def test_sentences_that_differ_in_white_space_case_or_composition_stay_apart(tmp_path):
    texts = ["Café", "Cafe\u0301", "café", "Café "]
    rows = pl.DataFrame({"sentence1": texts, "sentence2": ["x"] * 4, "label": [0, 1, 0, 1]})
    assert prepared(tmp_path, rows).sentences["text"].to_list() == ["Café", "x", *texts[1:]]


def test_pairs_keep_the_order_of_the_source_and_its_own_numbers(tmp_path):
    shuffled = ROWS.with_columns(idx=pl.int_range(5, dtype=pl.Int64))[[3, 0, 4, 2, 1]]
    table = prepared(tmp_path, shuffled).pairs
    assert table["pair_id"].to_list() == [0, 1, 2, 3, 4]
    assert table["idx"].to_list() == [3, 0, 4, 2, 1]


def test_splits_are_counted_in_the_order_of_the_source(tmp_path):
    assert list(prepared(tmp_path, ROWS[::-1]).info["splits"].items()) == [("test", 2), ("train", 3)]


@pytest.mark.parametrize(
    ("labels", "graded"),
    [
        ([1, 0, 1, 0, 1], False),
        ([1.0, 0.0, 0.0, 0.0, 1.0], False),
        ([5, 0, 1, 2.5, 3], True),
        ([2, 1, 2, 1, 2], True),
    ],
)
def test_labels_other_than_0_and_1_are_graded(tmp_path, labels, graded):
    toy = prepared(tmp_path, ROWS.with_columns(label=pl.Series(labels, strict=False)))
    assert toy.info["graded"] is graded
    assert toy.pairs["label"].to_list() == labels


@pytest.mark.parametrize(
    ("given", "expected"),
    [(["1", "0", "0.5", "0", "1"], [1, 0, 0.5, 0, 1]), ([True, False, True, False, True], [1, 0, 1, 0, 1])],
)
def test_labels_that_are_numbers_in_text_or_truth_values_are_read(tmp_path, given, expected):
    assert prepared(tmp_path, ROWS.with_columns(label=pl.Series(given))).pairs["label"].to_list() == expected


def test_pairs_whose_component_reaches_into_another_split_are_counted(tmp_path):
    rows = "train,a,b,1\ntrain,c,d,0\ntest,b,e,0\ntest,e,f,1\ntest,x,y,1\n"
    assert prepared_text(tmp_path, HEADER + rows).info["shared"] == {"train": 1, "test": 2}


# subsets and limits


def test_subsets_are_checked_and_kept(tmp_path):
    assert prepared(tmp_path, subsets={"train-2": "train[:2]"}).info["subsets"] == {"train-2": ["train", 2]}
    assert prepared(tmp_path).info["subsets"] == {}


def test_a_subset_of_a_split_whose_name_has_a_hyphen(tmp_path):
    rows = ROWS.with_columns(pl.col("split").replace("test", "dev-set"))
    assert prepared(tmp_path, rows, subsets={"few": "dev-set[:2]"}).info["subsets"] == {"few": ["dev-set", 2]}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("few", "trian[:2]", r"subset few is 'trian\[:2\]', expected split\[:n\] with one of train, test"),
        ("few", "train", r"subset few is 'train', expected split\[:n\]"),
        ("few", "train[2:]", r"subset few is 'train\[2:\]', expected split\[:n\]"),
        ("few", 1000, r"subset few is 1000, expected split\[:n\]"),
        ("few", "train[:0]", r"subset few is 'train\[:0\]'.* n of 2 or more"),  # nothing could be correlated
        ("few", "train[:1]", r"subset few is 'train\[:1\]'.* n of 2 or more"),
        ("train", "train[:2]", r"subset train has the name of a split"),  # it would take its place in every table
    ],
)
def test_a_subset_that_cannot_be_is_refused(tmp_path, name, text, message):
    with pytest.raises(InputError, match=message):
        prepared(tmp_path, subsets={name: text})


def test_a_subset_whose_labels_are_all_the_same_is_refused(tmp_path):
    rows = ROWS.with_columns(label=pl.Series([1, 1, 0, 0, 1]))
    message = (
        r"the first 2 of 3 pairs .* the label 1, .* sorted by label. Raise the number of subset few \(train\[:2\]\)"
    )
    with pytest.raises(InputError, match=message):
        prepared(tmp_path, rows, subsets={"few": "train[:2]"})


def test_a_limit_that_ends_before_the_second_label_of_a_sorted_source_is_refused(tmp_path):
    rows = ROWS.with_columns(label=pl.Series([1, 1, 0, 0, 1]))
    message = r"the first 2 of 3 pairs of split train all have the label 1, .*Raise prepare.limit \(2\), or shuffle"
    with pytest.raises(InputError, match=message):
        prepared(tmp_path, rows, Prepare(limit=2))
    assert len(prepared(tmp_path, rows, Prepare(limit=3)).pairs) == 5


def test_limit_keeps_the_first_pairs_of_each_split(tmp_path):
    mixed = ROWS.with_columns(idx=pl.int_range(5, dtype=pl.Int64))[[3, 0, 4, 2, 1]]
    mixed = mixed.with_columns(label=pl.Series([0, 1, 1, 0, 1]))
    toy = prepared(tmp_path, mixed, Prepare(limit=2))
    assert toy.pairs["idx"].to_list() == [3, 0, 4, 2]
    assert toy.pairs["pair_id"].to_list() == [0, 1, 2, 3]
    assert toy.info["splits"] == {"test": 2, "train": 2}
    assert len(toy.sentences) == 6
    assert toy.sentences["text"].to_list()[:2] == ["a cow", "a bird"]


# useless pairs


@pytest.mark.parametrize("text", ["", '""', '"  "', '"\t"', "\u00a0", "\x1c"])
def test_a_sentence_without_a_word_is_refused_with_its_row(tmp_path, text):
    message = r"dataset toy: sentence2 is empty in 2 pairs, first in split test, idx 4: remove or fill them"
    with pytest.raises(InputError, match=message):
        prepared_text(tmp_path, GOOD + f"test,a cow,{text},0\ntest,a hen,{text},1\n")


def test_a_column_of_numbers_is_no_text(tmp_path):
    with pytest.raises(InputError, match=r"dataset toy: column sentence1 holds Int64, expected text"):
        prepared(tmp_path, ROWS.with_columns(sentence1=pl.Series(range(5))))


@pytest.mark.parametrize(
    "rows", [0, 150]
)  # a reader that guesses types from the first hundred rows must not trip later
def test_a_label_that_is_text_is_shown_with_its_row(tmp_path, rows):
    lines = "".join(f"train,sentence {i},other,{i % 2}\n" for i in range(rows))
    message = rf"dataset toy: label 'yes' \(split train, idx {rows + 2}\) is not a number: map it to 0/1 or to a grade"
    with pytest.raises(InputError, match=message):
        prepared_text(tmp_path, HEADER + lines + "train,a,b,1\ntrain,c,d,0\ntrain,e,f,yes\n")


@pytest.mark.parametrize(("label", "shown"), [("", "None"), ("nan", "nan"), ("inf", "inf")])
def test_a_label_that_is_missing_or_not_finite_is_shown_with_its_row(tmp_path, label, shown):
    with pytest.raises(InputError, match=rf"dataset toy: label '?{shown}'? \(split test, idx 4\) is not a number"):
        prepared_text(tmp_path, GOOD + f"test,a hen,a cow,{label}\n")


def test_one_label_only_is_refused_with_the_split(tmp_path):
    message = (
        r"all 3 labels of split hidden are -1, so nothing can be correlated\. Hidden test labels\? List .*`splits`"
    )
    with pytest.raises(InputError, match=rf"dataset toy: {message}"):
        prepared_text(tmp_path, GOOD + "hidden,a,b,-1\nhidden,c,d,-1\nhidden,e,f,-1\n")


# the stage


@pytest.mark.parametrize(
    "text",
    [
        "",
        "split,sentence1,sentence2,label\n",
        "a,b\n1,2\n",
        GOOD + "test,a cow,,1\n",
        GOOD + "test,a cow,a hen,yes\n",
        GOOD.replace(",0", ",1"),
    ],
)
def test_bad_data_leaves_the_earlier_pairs_as_they_were(project, text):
    before = contents("data")
    assert len(before) == 3
    Path("toy.csv").write_text(text)
    for folder in ("data/pairs", "data/other"):
        with pytest.raises(InputError, match="dataset toy"):
            stages.prepare.main(Path(folder))
    assert contents("data") == before


# real pairs


@pytest.fixture(scope="module")
def mrpc(testdata):
    columns = {"sentence1": "glue_sentence1", "sentence2": "glue_sentence2"}
    entry = Dataset(path=str(testdata / "mrpc.parquet"), columns=columns, subsets={"train-1000": "train[:1000]"})
    return pairs.prepare(entry, "mrpc", ALL)


def test_mrpc_has_the_published_counts(mrpc):
    assert mrpc.info["splits"] == {"train": 3668, "validation": 408, "test": 1725}
    assert len(mrpc.pairs) == 5801
    assert len(mrpc.sentences) == mrpc.sentences["text"].n_unique() == 10944
    assert mrpc.pairs["component"].n_unique() == mrpc.info["components"] == 5143
    assert mrpc.info["graded"] is False


def test_mrpc_components_against_a_slow_union_find(mrpc):
    expected = slow_components(mrpc.pairs["sentence1_id"], mrpc.pairs["sentence2_id"])
    assert mrpc.pairs["component"].to_list() == expected


def test_mrpc_keeps_the_row_order_of_glue(mrpc):
    validation = mrpc.pairs.filter(pl.col("split") == "validation")
    assert validation["idx"].to_list()[:6] == [9, 18, 25, 32, 33, 50]
    assert np.array_equal(mrpc.pairs["pair_id"], np.arange(5801))
    texts = mrpc.sentences["text"]
    assert texts[0].startswith('Amrozi accused his brother , whom he called " the witness "')
    assert texts[validation["sentence1_id"][0]].startswith("He said the foodservice pie business")
    # the order of GLUE is that of idx inside each split
    assert all(rows["idx"].is_sorted() for rows in mrpc.pairs.partition_by("split"))


def test_mrpc_pairs_point_back_at_their_sentences(mrpc, testdata):
    source = pl.read_parquet(testdata / "mrpc.parquet")
    for ours, theirs in (("sentence1_id", "glue_sentence1"), ("sentence2_id", "glue_sentence2")):
        assert mrpc.sentences["text"].gather(mrpc.pairs[ours]).to_list() == source[theirs].to_list()
    assert mrpc.pairs["label"].to_list() == source["label"].to_list()
