import json

import numpy as np
import polars as pl
import pytest
import yaml

from pipeline import pairs
from pipeline.catalog import Dataset

ALL = pairs.Prepare(limit=None)

# a-b, b-c and c-d share sentences, e-f does not, d-a closes a circle over two splits
ROWS = pl.DataFrame(
    {
        "split": ["train", "train", "train", "test", "test"],
        "sentence1": ["a cat", "a bird", "an eel", "a cow", "a dog"],
        "sentence2": ["a dog", "a dog", "a fly", "a bird", "a cat"],
        "label": [1, 0, 1, 0, 1],
    }
)


def write_rows(path, rows=ROWS):
    """The table as a file of the kind that its ending says."""
    writers = {
        ".csv": rows.write_csv,
        ".tsv": lambda file: rows.write_csv(file, separator="\t", quote_style="never"),
        ".jsonl": rows.write_ndjson,
        ".parquet": rows.write_parquet,
    }
    writers[path.suffix](path)
    return str(path)


def prepared(tmp_path, rows=ROWS, params=ALL, **fields):
    return pairs.prepare(Dataset(path=write_rows(tmp_path / "data.parquet", rows), **fields), "toy", params)


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
    table, sentences, info = prepared(tmp_path)
    assert sentences["text"].to_list() == ["a cat", "a dog", "a bird", "an eel", "a fly", "a cow"]
    assert sentences["sentence_id"].to_list() == [0, 1, 2, 3, 4, 5]
    assert table["sentence1_id"].to_list() == [0, 2, 3, 5, 1]
    assert table["sentence2_id"].to_list() == [1, 1, 4, 2, 0]
    assert info["sentences"] == 6


def test_pairs_have_the_columns_and_types_of_the_contract(tmp_path):
    table, sentences, _ = prepared(tmp_path)
    ids = {"sentence1_id": pl.Int64, "sentence2_id": pl.Int64}
    assert dict(table.schema) == {"pair_id": pl.Int64, "split": pl.String, "idx": pl.Int64, **ids, "label": pl.Float64, "component": pl.Int64}
    assert dict(sentences.schema) == {"sentence_id": pl.Int64, "text": pl.String}


def test_components_join_pairs_that_share_sentences_by_hand(tmp_path):
    table, _, info = prepared(tmp_path)
    assert table["component"].to_list() == [0, 0, 1, 0, 0]
    assert info["components"] == 2


def test_components_against_a_slow_union_find():
    rng = np.random.default_rng(0)
    counts = set()
    for n in (12, 40, 120):
        first, second = rng.integers(0, n, size=(2, 40))
        expected = slow_components(first, second)
        assert pairs.components(first, second, n).tolist() == expected
        counts.add(max(expected) + 1)
    assert len(counts) == 3  # sparse and dense graphs, not one component each time


def test_sentences_that_differ_in_white_space_case_or_composition_stay_apart(tmp_path):
    texts = ["Café", "Cafe\u0301", "café", "Café "]
    rows = pl.DataFrame({"sentence1": texts, "sentence2": ["x"] * 4, "label": [0, 1, 0, 1]})
    _, sentences, _ = prepared(tmp_path, rows)
    assert sentences["text"].to_list() == ["Café", "x", *texts[1:]]


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_every_file_format_gives_the_same_pairs(tmp_path, ending):
    expected = prepared(tmp_path)
    found = pairs.prepare(Dataset(path=write_rows(tmp_path / f"again{ending}")), "toy", ALL)
    assert found[0].equals(expected[0])
    assert found[1].equals(expected[1])
    assert found[2] == expected[2]


def test_quotes_in_tsv_are_text(tmp_path):
    file = tmp_path / "quotes.tsv"
    file.write_text('sentence1\tsentence2\tlabel\n"No", he said.\t"Yes\t1\nfive 5" nails\tit\'s\t0\n')
    _, sentences, _ = pairs.prepare(Dataset(path=str(file)), "toy", ALL)
    assert sentences["text"].to_list() == ['"No", he said.', '"Yes', 'five 5" nails', "it's"]


def test_quotes_in_csv_enclose_commas_and_newlines(tmp_path):
    file = tmp_path / "quotes.csv"
    file.write_text('sentence1,sentence2,label\n"a, b","say ""no""",1\n"two\nlines",d,0\n')
    _, sentences, _ = pairs.prepare(Dataset(path=str(file)), "toy", ALL)
    assert sentences["text"].to_list() == ["a, b", 'say "no"', "two\nlines", "d"]


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_labels_that_become_fractions_late_in_the_file_are_kept(tmp_path, ending):
    labels = [float(i % 2) for i in range(300)] + [0.5]
    text = [f"sentence {i}" for i in range(301)]
    written = [f"{label:g}" for label in labels]  # 0 and 1 look like integers until the last row
    file = tmp_path / f"late{ending}"
    if ending == ".csv":
        file.write_text("sentence1,sentence2,label\n" + "".join(f"{t},other,{label}\n" for t, label in zip(text, written)))
    else:
        file.write_text("".join(f'{{"sentence1": "{t}", "sentence2": "other", "label": {label}}}\n' for t, label in zip(text, written)))
    table, _, info = pairs.prepare(Dataset(path=str(file)), "toy", ALL)
    assert table["label"].to_list() == labels
    assert info["graded"]


def test_one_file_a_split_gives_the_splits_in_the_order_of_the_catalogue(tmp_path):
    rows = ROWS.drop("split")
    files = {"dev": write_rows(tmp_path / "d.csv", rows[3:]), "train": write_rows(tmp_path / "t.jsonl", rows[:3])}
    table, sentences, info = pairs.prepare(Dataset(path=files), "toy", ALL)
    assert table["split"].to_list() == ["dev", "dev", "train", "train", "train"]
    assert table["idx"].to_list() == [0, 1, 0, 1, 2]
    assert sentences["text"][0] == "a cow"
    assert list(info["splits"].items()) == [("dev", 2), ("train", 3)]


def test_files_of_one_dataset_may_hold_labels_of_different_number_types(tmp_path):
    rows = ROWS.drop("split")
    graded = rows.with_columns(label=pl.Series([0.5, 1.5, 2.5, 3.5, 4.5]))
    files = {"train": write_rows(tmp_path / "t.parquet", rows), "test": write_rows(tmp_path / "d.parquet", graded)}
    table, _, info = pairs.prepare(Dataset(path=files), "toy", ALL)
    assert table["label"].to_list() == [1, 0, 1, 0, 1, 0.5, 1.5, 2.5, 3.5, 4.5]
    assert info["graded"]


def test_a_file_without_splits_is_one_split_called_all(tmp_path):
    table, _, info = prepared(tmp_path, ROWS.drop("split"))
    assert set(table["split"]) == {"all"}
    assert info["splits"] == {"all": 5}


def test_splits_that_are_numbered_become_text(tmp_path):
    table, _, info = prepared(tmp_path, ROWS.with_columns(split=pl.Series([1, 1, 1, 2, 2])))
    assert table["split"].to_list() == ["1", "1", "1", "2", "2"]
    assert info["splits"] == {"1": 3, "2": 2}


def test_columns_are_renamed_and_a_column_in_the_way_is_replaced(tmp_path):
    rows = ROWS.rename({"sentence1": "question1"}).with_columns(score=pl.Series([0.1, 0.2, 0.3, 0.4, 0.5]))
    table, sentences, _ = prepared(tmp_path, rows, columns={"sentence1": "question1", "label": "score"})
    assert sentences["text"][0] == "a cat"
    assert table["label"].to_list() == [0.1, 0.2, 0.3, 0.4, 0.5]


def test_columns_can_be_swapped(tmp_path):
    table, sentences, _ = prepared(tmp_path, columns={"sentence1": "sentence2", "sentence2": "sentence1"})
    assert sentences["text"].to_list()[:3] == ["a dog", "a cat", "a bird"]
    assert table["sentence1_id"].to_list()[:2] == [0, 0]


def test_idx_is_the_sources_own_number_where_it_has_one(tmp_path):
    numbered = ROWS.with_columns(number=pl.Series([10, 7, 8, 99, 3]))
    assert prepared(tmp_path, numbered, columns={"idx": "number"})[0]["idx"].to_list() == [10, 7, 8, 99, 3]
    assert prepared(tmp_path, ROWS)[0]["idx"].to_list() == [0, 1, 2, 3, 4]


def test_rows_keep_the_order_of_the_source(tmp_path):
    shuffled = ROWS.with_columns(idx=pl.int_range(5, dtype=pl.Int64))[[3, 0, 4, 2, 1]]
    table, _, _ = prepared(tmp_path, shuffled)
    assert table["pair_id"].to_list() == [0, 1, 2, 3, 4]
    assert table["idx"].to_list() == [3, 0, 4, 2, 1]
    assert table["split"].to_list() == ["test", "train", "test", "train", "train"]


def test_splits_of_the_catalogue_rename_and_leave_out(tmp_path):
    rows = pl.concat([ROWS, ROWS.with_columns(split=pl.lit("hidden"), label=pl.lit(-1, pl.Int64))])
    table, sentences, info = prepared(tmp_path, rows, splits={"dev": "test", "train": "train"})
    assert table["split"].to_list() == ["train", "train", "train", "dev", "dev"]
    assert info["splits"] == {"train": 3, "dev": 2}
    assert len(sentences) == 6


@pytest.mark.parametrize(
    ("labels", "graded"), [([1, 0, 1, 0, 1], False), ([1.0, 0.0, 0.0, 0.0, 1.0], False), ([5, 0, 1, 2.5, 3], True), ([2, 1, 2, 1, 2], True)]
)
def test_labels_other_than_0_and_1_are_graded(tmp_path, labels, graded):
    table, _, info = prepared(tmp_path, ROWS.with_columns(label=pl.Series(labels, strict=False)))
    assert info["graded"] is graded
    assert table["label"].to_list() == labels


def test_labels_that_are_numbers_in_text_or_truth_values_are_read(tmp_path):
    assert prepared(tmp_path, ROWS.with_columns(label=pl.Series(["1", "0", "0.5", "0", "1"])))[0]["label"].to_list() == [1, 0, 0.5, 0, 1]
    assert prepared(tmp_path, ROWS.with_columns(label=pl.Series([True, False, True, False, True])))[0]["label"].to_list() == [1, 0, 1, 0, 1]


def test_subsets_are_checked_and_kept(tmp_path):
    assert prepared(tmp_path, subsets={"train-2": "train[:2]"})[2]["subsets"] == {"train-2": ["train", 2]}
    assert prepared(tmp_path)[2]["subsets"] == {}


def test_a_subset_of_a_split_whose_name_has_a_hyphen(tmp_path):
    rows = ROWS.with_columns(pl.col("split").replace("test", "dev-set"))
    assert prepared(tmp_path, rows, subsets={"few": "dev-set[:2]"})[2]["subsets"] == {"few": ["dev-set", 2]}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("few", "trian[:2]", r"subset few is 'trian\[:2\]', expected split\[:n\] with one of train, test"),
        ("few", "train", r"subset few is 'train', expected split\[:n\]"),
        ("few", "train[2:]", r"subset few is 'train\[2:\]', expected split\[:n\]"),
        ("few", 1000, r"subset few is .*1000.*, expected split\[:n\]"),
        ("few", "train[:0]", r"few.*train\[:0\]"),  # nothing could be correlated, and the bootstrap would divide by zero
        ("few", "train[:1]", r"few.*train\[:1\]"),
        ("train", "train[:2]", r"subset train .*split"),  # it would take the place of the split in every table
    ],
)
def test_a_subset_that_cannot_be_is_refused(tmp_path, name, text, message):
    with pytest.raises(ValueError, match=message):
        prepared(tmp_path, subsets={name: text})


def test_a_subset_whose_labels_are_all_the_same_is_refused(tmp_path):
    rows = ROWS.with_columns(label=pl.Series([1, 1, 0, 0, 1]))
    with pytest.raises(ValueError, match=r"subset few .*train\[:2\].*correlated"):
        prepared(tmp_path, rows, subsets={"few": "train[:2]"})


def test_limit_keeps_the_first_pairs_of_each_split(tmp_path):
    mixed = ROWS.with_columns(idx=pl.int_range(5, dtype=pl.Int64))[[3, 0, 4, 2, 1]].with_columns(label=pl.Series([0, 1, 1, 0, 1]))
    table, sentences, info = prepared(tmp_path, mixed, pairs.Prepare(limit=2))
    assert table["idx"].to_list() == [3, 0, 4, 2]
    assert table["pair_id"].to_list() == [0, 1, 2, 3]
    assert info["splits"] == {"test": 2, "train": 2}
    assert len(sentences) == 6
    assert sentences["text"].to_list()[:2] == ["a cow", "a bird"]


@pytest.mark.parametrize("limit", [1, 0, -3])
def test_a_limit_that_leaves_no_correlation_is_refused(tmp_path, limit):
    with pytest.raises(ValueError, match=rf"prepare\.limit is {limit}: at least 2"):
        prepared(tmp_path, params=pairs.Prepare(limit=limit))


def test_written_files_read_back_as_they_were(tmp_path):
    table, sentences, info = prepared(tmp_path, subsets={"train-2": "train[:2]"})
    pairs.write(tmp_path / "a" / "b", table, sentences, info)
    assert pl.read_parquet(tmp_path / "a" / "b" / "pairs.parquet").equals(table)
    assert pl.read_parquet(tmp_path / "a" / "b" / "sentences.parquet").equals(sentences)
    assert json.loads((tmp_path / "a" / "b" / "info.json").read_text()) == info


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A folder in the hub's layout with two configurations, as nyu-mll/glue has them, and a cache of its own."""
    import datasets
    import huggingface_hub

    for module in (datasets.config, huggingface_hub.constants):
        monkeypatch.setattr(module, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "glue"
    (folder / "mrpc").mkdir(parents=True)
    (folder / "qqp").mkdir()
    numbered = ROWS.with_columns(idx=pl.Series([0, 1, 2, 9, 18], dtype=pl.Int32)).drop("split")
    numbered[:3].write_parquet(folder / "mrpc" / "train-00000-of-00001.parquet")
    numbered[3:].write_parquet(folder / "mrpc" / "validation-00000-of-00001.parquet")
    numbered.with_columns(label=pl.lit(-1, pl.Int64)).write_parquet(folder / "mrpc" / "test-00000-of-00001.parquet")
    questions = numbered.rename({"sentence1": "question1", "sentence2": "question2"})
    questions[:2].write_parquet(folder / "qqp" / "train-00000-of-00002.parquet")
    questions[2:].write_parquet(folder / "qqp" / "train-00001-of-00002.parquet")
    splits = {"mrpc": ("train", "validation", "test"), "qqp": ("train",)}
    configs = [{"config_name": name, "data_files": [{"split": split, "path": f"{name}/{split}-*"} for split in splits[name]]} for name in splits]
    (folder / "README.md").write_text("---\n" + yaml.safe_dump({"configs": configs}) + "---\n# GLUE\n")
    return str(folder)


def test_a_folder_in_the_hubs_layout_gives_the_splits_that_the_catalogue_names(hub, tmp_path):
    entry = Dataset(hub=hub, config="mrpc", splits={"train": "train", "dev": "validation"}, subsets={"two": "train[:2]"})
    table, sentences, info = pairs.prepare(entry, "mrpc", ALL)
    expected = prepared(tmp_path, ROWS.with_columns(pl.col("split").replace("test", "dev")))
    assert sentences.equals(expected[1])
    assert table.drop("idx").equals(expected[0].drop("idx"))
    assert table["idx"].to_list() == [0, 1, 2, 9, 18]
    assert info["splits"] == {"train": 3, "dev": 2}


def test_another_configuration_of_the_hub_in_two_files_with_other_column_names(hub):
    entry = Dataset(hub=hub, config="qqp", columns={"sentence1": "question1", "sentence2": "question2"})
    table, sentences, _ = pairs.prepare(entry, "qqp", ALL)
    assert table["idx"].to_list() == [0, 1, 2, 9, 18]
    assert set(table["split"]) == {"train"}
    assert sentences["text"].to_list()[:3] == ["a cat", "a dog", "a bird"]


def test_a_split_of_the_hub_with_hidden_labels_is_refused(hub):
    with pytest.raises(ValueError, match=r"all 5 labels of split test are -1, .*Hidden test labels\? List the other splits under `splits`"):
        pairs.prepare(Dataset(hub=hub, config="mrpc"), "mrpc", ALL)


@pytest.mark.parametrize("splits", [{"dev": "valid"}, {"train": "train", "dev": "valid"}])
def test_a_split_that_the_hub_lacks_is_named(hub, splits):
    with pytest.raises(ValueError, match=r"dataset mrpc has no split valid: it has .*train.*Mend `splits`"):
        pairs.prepare(Dataset(hub=hub, config="mrpc", splits=splits), "mrpc", ALL)


def test_a_configuration_that_the_hub_lacks_is_named(hub):
    with pytest.raises(ValueError, match=r"(?s)mrcp.*mrpc"):
        pairs.prepare(Dataset(hub=hub, config="mrcp"), "mrpc", ALL)


@pytest.fixture(scope="module")
def mrpc(testdata):
    columns = {"sentence1": "glue_sentence1", "sentence2": "glue_sentence2"}
    return pairs.prepare(Dataset(path=str(testdata / "mrpc.parquet"), columns=columns, subsets={"train-1000": "train[:1000]"}), "mrpc", ALL)


def test_mrpc_has_the_published_counts(mrpc):
    table, sentences, info = mrpc
    assert info["splits"] == {"train": 3668, "validation": 408, "test": 1725}
    assert len(table) == 5801
    assert len(sentences) == sentences["text"].n_unique() == 10944
    assert table["component"].n_unique() == info["components"] == 5143
    assert info["graded"] is False


def test_mrpc_components_against_a_slow_union_find(mrpc):
    table, _, _ = mrpc
    assert table["component"].to_list() == slow_components(table["sentence1_id"], table["sentence2_id"])


def test_mrpc_keeps_the_row_order_of_glue(mrpc):
    table, sentences, _ = mrpc
    validation = table.filter(pl.col("split") == "validation")
    assert validation["idx"].to_list()[:6] == [9, 18, 25, 32, 33, 50]
    assert table["pair_id"].to_list() == list(range(5801))
    texts = sentences["text"]
    assert texts[0].startswith('Amrozi accused his brother , whom he called " the witness "')
    assert texts[validation["sentence1_id"][0]].startswith("He said the foodservice pie business")
    # the GLUE order is that of idx inside each split
    assert all(part["idx"].is_sorted() for part in table.partition_by("split"))


def test_mrpc_pairs_point_back_at_their_sentences(mrpc, testdata):
    table, sentences, _ = mrpc
    source = pl.read_parquet(testdata / "mrpc.parquet")
    for ours, theirs in (("sentence1_id", "glue_sentence1"), ("sentence2_id", "glue_sentence2")):
        assert sentences["text"].gather(table[ours]).to_list() == source[theirs].to_list()
    assert table["label"].to_list() == source["label"].to_list()


def test_a_file_of_one_split_with_a_split_column_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("split,sentence1,sentence2,label\ntrain,a,b,1\ntest,c,d,0\n")
    with pytest.raises(ValueError, match=r"is given as split train, but its column split names others"):
        pairs.prepare(Dataset(path={"train": str(tmp_path / "a.csv"), "test": str(tmp_path / "a.csv")}), "toy", ALL)


def test_pairs_whose_component_reaches_into_another_split_are_counted(tmp_path):
    (tmp_path / "a.csv").write_text("split,sentence1,sentence2,label\ntrain,a,b,1\ntrain,c,d,0\ntest,b,e,0\ntest,e,f,1\ntest,x,y,1\n")
    _, _, info = pairs.prepare(Dataset(path=str(tmp_path / "a.csv")), "toy", ALL)
    assert info["shared"] == {"train": 1, "test": 2}
