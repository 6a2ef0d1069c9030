"""Datasets from files and from the hub: what is read, under which names, and what is refused."""

import json

import polars as pl
import pytest
import yaml

from pipeline.base.errors import InputError
from pipeline.catalog.entries import Dataset
from pipeline.text.files import ENDINGS
from pipeline.text.pairs import prepare
from pipeline.text.settings import Prepare
from pipeline.text.sources import pinned, read_rows

GOOD = "split,sentence1,sentence2,label\ntrain,a cat,a dog,1\ntrain,a bird,a dog,0\ntest,an eel,a fly,1\ntest,x,y,0\n"
HEADER = "sentence1,sentence2,label\n"
OUTSIDE = "nobody-at-all/nothing-at-all"  # no repository; with the hub offline its name does not matter
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
        ".json": lambda file: file.write_text(json.dumps(rows.to_dicts())),
        ".parquet": rows.write_parquet,
    }
    writers[path.suffix](path)
    return str(path)


def read_table(tmp_path, rows=ROWS, **fields):
    return read_rows(Dataset(path=write_rows(tmp_path / "data.parquet", rows), **fields), "dataset toy")


def read_text(tmp_path, text, ending=".csv", **fields):
    file = tmp_path / f"given{ending}"
    file.write_text(text) if isinstance(text, str) else file.write_bytes(text)
    return read_rows(Dataset(path=str(file), **fields), "dataset toy")


# files


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_file_format_gives_the_same_rows(tmp_path, ending):
    rows = read_rows(Dataset(path=write_rows(tmp_path / f"rows{ending}")), "dataset toy")
    assert rows.drop("idx", "written").equals(ROWS.with_columns(pl.col("label").cast(pl.Float64)))
    assert rows["idx"].to_list() == [0, 1, 2, 3, 4]


def test_rows_have_one_order_of_columns_and_one_type_each(tmp_path):
    schema = {"split": pl.String, "idx": pl.Int64, "sentence1": pl.String, "sentence2": pl.String, "label": pl.Float64}
    schema["written"] = pl.String
    assert dict(read_table(tmp_path).schema) == schema


def test_quotes_in_tsv_are_text(tmp_path):
    text = 'sentence1\tsentence2\tlabel\n"No", he said.\t"Yes\t1\nfive 5" nails\tit\'s\t0\n'
    rows = read_text(tmp_path, text, ".tsv")
    assert rows["sentence1"].to_list() == ['"No", he said.', 'five 5" nails']
    assert rows["sentence2"].to_list() == ['"Yes', "it's"]


def test_quotes_in_csv_enclose_commas_and_newlines(tmp_path):
    rows = read_text(tmp_path, HEADER + '"a, b","say ""no""",1\n"two\nlines",d,0\n')
    assert rows["sentence1"].to_list() == ["a, b", "two\nlines"]
    assert rows["sentence2"].to_list() == ['say "no"', "d"]


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_labels_that_become_fractions_late_in_the_file_are_kept(tmp_path, ending):
    labels = [float(i % 2) for i in range(300)] + [0.5]
    written = [f"{label:g}" for label in labels]  # 0 and 1 look like integers until the last row
    if ending == ".csv":
        text = HEADER + "".join(f"sentence {i},other,{label}\n" for i, label in enumerate(written))
    else:
        row = '{{"sentence1": "sentence {}", "sentence2": "other", "label": {}}}\n'
        text = "".join(row.format(i, label) for i, label in enumerate(written))
    assert read_text(tmp_path, text, ending)["label"].to_list() == labels


def test_one_file_a_split_gives_the_splits_in_the_order_of_the_catalogue(tmp_path):
    rows = ROWS.drop("split")
    files = {"dev": write_rows(tmp_path / "d.csv", rows[3:]), "train": write_rows(tmp_path / "t.jsonl", rows[:3])}
    table = read_rows(Dataset(path=files), "dataset toy")
    assert table["split"].to_list() == ["dev", "dev", "train", "train", "train"]
    assert table["idx"].to_list() == [0, 1, 0, 1, 2]
    assert table["sentence1"][0] == "a cow"


def test_files_of_one_dataset_may_hold_labels_of_different_number_types(tmp_path):
    rows = ROWS.drop("split")
    graded = rows.with_columns(label=pl.Series([0.5, 1.5, 2.5, 3.5, 4.5]))
    files = {"train": write_rows(tmp_path / "t.parquet", rows), "test": write_rows(tmp_path / "d.parquet", graded)}
    labels = read_rows(Dataset(path=files), "dataset toy")["label"]
    assert labels.to_list() == [1, 0, 1, 0, 1, 0.5, 1.5, 2.5, 3.5, 4.5]


def test_a_file_without_splits_is_one_split_called_all(tmp_path):
    assert set(read_table(tmp_path, ROWS.drop("split"))["split"]) == {"all"}


def test_splits_that_are_numbered_become_text(tmp_path):
    rows = read_table(tmp_path, ROWS.with_columns(split=pl.Series([1, 1, 1, 2, 2])))
    assert rows["split"].to_list() == ["1", "1", "1", "2", "2"]


def test_a_split_of_the_catalogue_may_be_named_by_a_number(tmp_path):
    rows = ROWS.drop("split")
    files = {1: write_rows(tmp_path / "a.csv", rows[:3]), 2: write_rows(tmp_path / "b.csv", rows[3:])}
    assert read_rows(Dataset(path=files), "dataset toy")["split"].to_list() == ["1", "1", "1", "2", "2"]


def test_columns_are_renamed_and_a_column_in_the_way_is_replaced(tmp_path):
    rows = ROWS.rename({"sentence1": "question1"}).with_columns(score=pl.Series([0.1, 0.2, 0.3, 0.4, 0.5]))
    table = read_table(tmp_path, rows, columns={"sentence1": "question1", "label": "score"})
    assert table["sentence1"][0] == "a cat"
    assert table["label"].to_list() == [0.1, 0.2, 0.3, 0.4, 0.5]


def test_columns_can_be_swapped(tmp_path):
    table = read_table(tmp_path, columns={"sentence1": "sentence2", "sentence2": "sentence1"})
    assert table["sentence1"].to_list() == ROWS["sentence2"].to_list()
    assert table["sentence2"].to_list() == ROWS["sentence1"].to_list()


def test_idx_is_the_sources_own_number_where_it_has_one(tmp_path):
    numbered = ROWS.with_columns(number=pl.Series([10, 7, 8, 99, 3]))
    assert read_table(tmp_path, numbered, columns={"idx": "number"})["idx"].to_list() == [10, 7, 8, 99, 3]


def test_rows_keep_the_order_of_the_source(tmp_path):
    shuffled = ROWS.with_columns(idx=pl.int_range(5, dtype=pl.Int64))[[3, 0, 4, 2, 1]]
    table = read_table(tmp_path, shuffled)
    assert table["idx"].to_list() == [3, 0, 4, 2, 1]
    assert table["split"].to_list() == ["test", "train", "test", "train", "train"]


def test_splits_of_the_catalogue_rename_and_leave_out(tmp_path):
    rows = pl.concat([ROWS, ROWS.with_columns(split=pl.lit("hidden"), label=pl.lit(-1, pl.Int64))])
    table = read_table(tmp_path, rows, splits={"dev": "test", "train": "train"})
    assert table["split"].to_list() == ["train", "train", "train", "dev", "dev"]


# what is wrong with files


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_empty_file_is_refused(tmp_path, ending):
    message = rf"dataset toy: .*given\{ending} is empty: expected a header and at least one pair"
    with pytest.raises(InputError, match=message):
        read_text(tmp_path, "", ending)


@pytest.mark.parametrize(("text", "ending"), [(HEADER, ".csv"), (HEADER.replace(",", "\t"), ".tsv")])
def test_a_header_without_pairs_is_refused(tmp_path, text, ending):
    with pytest.raises(InputError, match=r"dataset toy, split all, is empty: expected at least one pair"):
        read_text(tmp_path, text, ending)


def test_a_parquet_file_without_rows_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"dataset toy, split all, is empty: expected at least one pair"):
        read_table(tmp_path, ROWS.drop("split").clear())


def test_one_empty_split_is_named(tmp_path):
    (tmp_path / "train.csv").write_text(HEADER + "a,b,1\nc,d,0\n")
    (tmp_path / "dev.csv").write_text(HEADER)
    files = {"train": str(tmp_path / "train.csv"), "dev": str(tmp_path / "dev.csv")}
    with pytest.raises(InputError, match=r"dataset toy, split dev, is empty"):
        read_rows(Dataset(path=files), "dataset toy")


@pytest.mark.parametrize(
    ("text", "ending"),
    [
        ("\n\n", ".csv"),
        (HEADER + "a,b,1\nc,d,0,surplus,fields\n", ".csv"),
        ("sentence1\tsentence2\tlabel\na\tb\t1\nc\td\t0\tsurplus\n", ".tsv"),
        ('{"sentence1": "a", "sentence2": "b", "label": 1}\n{"sentence1": \n', ".jsonl"),
        (b"PAR1 that is all", ".parquet"),
        (HEADER.encode() + b"\xff\xfe,b,1\nc,d,0\n", ".csv"),
    ],
)
def test_a_file_that_cannot_be_read_as_its_ending_says_is_named(tmp_path, text, ending):
    with pytest.raises(InputError, match=rf"dataset toy: .*given\{ending}"):
        read_text(tmp_path, text, ending)


def test_a_parquet_file_with_any_byte_flipped_is_read_or_refused_but_never_aborts(tmp_path, rng):
    path = write_rows(tmp_path / "rows.parquet")
    whole = (tmp_path / "rows.parquet").read_bytes()
    refused = 0
    for spot in rng.choice(len(whole), 200, replace=False):
        damaged = bytearray(whole)
        damaged[spot] ^= 255
        (tmp_path / "rows.parquet").write_bytes(damaged)
        try:
            read_rows(Dataset(path=path), "dataset toy")
        except InputError:
            refused += 1
    assert refused > 20


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_folder_in_place_of_a_file_is_refused(tmp_path, ending):
    (tmp_path / f"folder{ending}").mkdir()
    with pytest.raises(InputError, match=rf"dataset toy: .*folder\{ending} is not what its ending says"):
        read_rows(Dataset(path=str(tmp_path / f"folder{ending}")), "dataset toy")


def test_an_unknown_kind_of_file_is_refused_with_the_known_ones(tmp_path):
    message = r"the ending of .*given\.xlsx is '\.xlsx': expected one of \.csv, \.tsv, \.jsonl, \.json, \.parquet"
    with pytest.raises(InputError, match=message):
        read_text(tmp_path, GOOD, ".xlsx")
    with pytest.raises(InputError, match=r"did you mean \.jsonl"):
        read_text(tmp_path, GOOD, ".jsonlines")


@pytest.mark.parametrize("path", ["nowhere.csv", {"train": "nowhere.csv"}, {"train": ["nowhere.csv"]}])
def test_a_missing_file_is_named_with_the_place_that_was_looked_at(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"dataset toy: nowhere\.csv does not exist \(looked at /.*\)\. Mend `path`"):
        read_rows(Dataset(path=path), "dataset toy")


def test_a_mapping_of_no_files_is_refused():
    with pytest.raises(InputError, match=r"`path` is an empty mapping"):
        read_rows(Dataset(path={}), "dataset toy")


def test_a_missing_column_is_named_with_those_there_are(tmp_path):
    message = (
        r"dataset toy has no column sentence2, label: it has sentence1, text2, score\. Say which is which with `colu"
    )
    with pytest.raises(InputError, match=message):
        read_text(tmp_path, "sentence1,text2,score\na,b,1\n")


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("labl", r"no column labl: did you mean label\? Expected one of split, sentence1, sentence2, label\. Mend"),
        ("grade", r"no column grade: expected one of split, sentence1, sentence2, label\. Mend `columns`"),
    ],
)
def test_a_column_of_the_catalogue_that_the_file_lacks_is_named_with_its_near_misses(tmp_path, column, message):
    with pytest.raises(InputError, match=rf"dataset toy has {message}"):
        read_text(tmp_path, GOOD, columns={"label": column})


def test_a_split_of_the_catalogue_that_the_file_lacks_is_named_with_its_near_misses(tmp_path):
    message = r"dataset toy has no split trian: did you mean train\? Expected one of test, train\. Mend `splits`"
    with pytest.raises(InputError, match=message):
        read_text(tmp_path, GOOD, splits={"train": "trian", "dev": "test"})


def test_a_mapping_of_no_splits_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"dataset toy: `splits` is empty: name some of test, train, or leave it out"):
        read_text(tmp_path, GOOD, splits={})


def test_an_idx_that_is_no_number_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"dataset toy: idx 'en-12' is not a whole number"):
        read_text(tmp_path, "idx,sentence1,sentence2,label\n11,a,b,1\nen-12,c,d,0\n")


def test_an_empty_split_is_refused_with_its_row(tmp_path):
    with pytest.raises(InputError, match=r"dataset toy: the split of row 4 is empty: fill it, or drop the column"):
        read_text(tmp_path, GOOD + ",a,b,1\n")


@pytest.mark.parametrize(("column", "value"), [("label", [1]), ("label", {"x": 1}), ("idx", [2]), ("split", [3])])
def test_a_column_of_lists_or_of_records_is_refused(tmp_path, column, value):
    row = json.dumps({"sentence1": "a", "sentence2": "b", "label": 1} | {column: value}) + "\n"
    with pytest.raises(
        InputError,
        match=rf"dataset toy: .*line 1: column {column} holds an? (list|object), expected a number or text in each row",
    ):
        read_text(tmp_path, row * 2, ".jsonl")


def test_columns_whose_types_do_not_fit_together_are_refused(tmp_path):
    rows = ROWS.drop("split")
    lists = rows.with_columns(pl.concat_list("sentence1"))
    files = {"train": write_rows(tmp_path / "a.parquet", rows), "test": write_rows(tmp_path / "b.parquet", lists)}
    with pytest.raises(InputError, match=r"dataset toy: column sentence1 holds List\(String\), expected text"):
        read_rows(Dataset(path=files), "dataset toy")


def test_a_file_of_one_split_with_a_split_column_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("split,sentence1,sentence2,label\ntrain,a,b,1\ntest,c,d,0\n")
    path = str(tmp_path / "a.csv")
    with pytest.raises(InputError, match=r"is given as split train, but its column split names others"):
        read_rows(Dataset(path={"train": path, "test": path}), "dataset toy")


@pytest.mark.parametrize("fields", [{}, {"hub": OUTSIDE, "path": "toy.csv"}])
def test_a_dataset_has_exactly_one_source(fields):
    with pytest.raises(InputError, match=r"dataset toy has (no source|hub and path): give exactly one of hub, path"):
        read_rows(Dataset(**fields), "dataset toy")


# the hub


@pytest.fixture
def hub(tmp_path, offline):
    """A folder in the hub's layout with two configurations, as nyu-mll/glue has them."""
    folder = tmp_path / "glue"
    (folder / "mrpc").mkdir(parents=True)
    (folder / "qqp").mkdir()
    numbered = ROWS.with_columns(idx=pl.Series([0, 1, 2, 9, 18], dtype=pl.Int32)).drop("split")
    hidden = numbered.with_columns(label=pl.lit(-1, pl.Int64))
    for split, rows in (("train", numbered[:3]), ("validation", numbered[3:]), ("test", hidden)):
        rows.write_parquet(folder / "mrpc" / f"{split}-00000-of-00001.parquet")
    questions = numbered.rename({"sentence1": "question1", "sentence2": "question2"})
    questions[:2].write_parquet(folder / "qqp" / "train-00000-of-00002.parquet")
    questions[2:].write_parquet(folder / "qqp" / "train-00001-of-00002.parquet")
    configs = [
        {"config_name": name, "data_files": [{"split": split, "path": f"{name}/{split}-*"} for split in splits]}
        for name, splits in (("mrpc", ["train", "validation", "test"]), ("qqp", ["train"]))
    ]
    (folder / "README.md").write_text("---\n" + yaml.safe_dump({"configs": configs}) + "---\n# GLUE\n")
    return str(folder)


def test_a_folder_in_the_hubs_layout_gives_the_splits_that_the_catalogue_names(hub):
    rows = read_rows(Dataset(hub=hub, config="mrpc", splits={"train": "train", "dev": "validation"}), "dataset mrpc")
    assert rows["split"].to_list() == ["train", "train", "train", "dev", "dev"]
    assert rows["idx"].to_list() == [0, 1, 2, 9, 18]
    assert rows.select("sentence1", "sentence2", "label").equals(
        ROWS.select("sentence1", "sentence2", pl.col("label").cast(pl.Float64))
    )


def test_another_configuration_of_the_hub_in_two_files_with_other_column_names(hub):
    entry = Dataset(hub=hub, config="qqp", columns={"sentence1": "question1", "sentence2": "question2"})
    rows = read_rows(entry, "dataset qqp")
    assert rows["idx"].to_list() == [0, 1, 2, 9, 18]
    assert set(rows["split"]) == {"train"}
    assert rows["sentence1"].to_list() == ROWS["sentence1"].to_list()


@pytest.mark.parametrize("splits", [{"dev": "valid"}, {"train": "train", "dev": "valid"}])
def test_a_split_that_the_hub_lacks_is_named(hub, splits):
    message = (
        r"dataset mrpc has no split valid: did you mean validation\? Expected one of test, train, validation\. Mend"
    )
    with pytest.raises(InputError, match=message):
        read_rows(Dataset(hub=hub, config="mrpc", splits=splits), "dataset mrpc")


@pytest.mark.parametrize("config", ["mrcp", None])
def test_a_configuration_that_the_hub_lacks_is_named_in_one_line(hub, config):
    with pytest.raises(InputError, match=rf"dataset mrpc: .* with config {config}: .*mrpc.*Mend `config`") as error:
        read_rows(Dataset(hub=hub, config=config), "dataset mrpc")
    assert "\n" not in str(error.value)


def test_a_damaged_file_of_the_hub_is_refused(hub, tmp_path):
    (tmp_path / "glue/mrpc/train-00000-of-00001.parquet").write_bytes(b"PAR1 that is all")
    with pytest.raises(InputError, match=r"dataset mrpc.*glue@main"):
        read_rows(Dataset(hub=hub, config="mrpc"), "dataset mrpc")


def test_a_dataset_of_the_hub_without_a_network_says_what_it_needs_and_what_to_do(offline):
    message = rf"dataset toy needs {OUTSIDE}@abc from the Hugging Face hub.*HF_HUB_OFFLINE.* as `path`"
    with pytest.raises(InputError, match=message):
        read_rows(Dataset(hub=OUTSIDE, revision="abc"), "dataset toy")


# commits


@pytest.fixture
def downloaded(tmp_path, monkeypatch, hub_cache):
    """A function: put the table into the cache of `datasets` as a commit of the data set owner/pairs."""
    import datasets
    from datasets.arrow_writer import ArrowWriter

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))

    def put(commit, rows=ROWS):
        folder = tmp_path / "cache/owner___pairs/default/0.0.0" / commit
        folder.mkdir(parents=True)
        info = datasets.DatasetInfo(
            features=datasets.Features.from_arrow_schema(rows.to_arrow().schema),
            builder_name="parquet",
            dataset_name="pairs",
            config_name="default",
            version="0.0.0",
        )
        info.splits = datasets.SplitDict(dataset_name="pairs")
        for (split,), part in rows.group_by("split", maintain_order=True):
            with ArrowWriter(path=str(folder / f"pairs-{split}.arrow"), features=info.features) as writer:
                writer.write_table(part.to_arrow())
                examples, size = writer.finalize()
            info.splits.add(datasets.SplitInfo(split, size, examples, dataset_name="pairs"))
        info.write_to_directory(str(folder))

    return put


def test_a_dataset_is_that_of_its_first_commit_and_the_info_says_so(downloaded, hub_cache, capsys):
    first, second = "a" * 40, "b" * 40
    hub_cache.move("owner/pairs", first, kind="dataset")
    downloaded(first)
    entry = Dataset(hub="owner/pairs", columns={})
    info = prepare(entry, "toy", Prepare(limit=None)).info
    assert info["source"] == {"hub": "owner/pairs", "revision": "main", "commit": first}
    assert f"dataset toy: owner/pairs@main is commit {first}" in capsys.readouterr().err
    hub_cache.move("owner/pairs", second, kind="dataset")
    assert prepare(entry, "toy", Prepare(limit=None)).info == info
    assert f"WARNING: dataset toy: owner/pairs@main was commit {first}" in capsys.readouterr().err


def test_another_commit_that_datasets_takes_without_a_network_is_refused(downloaded):
    first, second = "a" * 40, "b" * 40
    downloaded(second)
    assert len(read_rows(Dataset(hub="owner/pairs", revision=second), "dataset toy")) == len(ROWS)
    message = rf"dataset toy is to be commit {first} of owner/pairs, .* {second} is what .*HF_HUB_OFFLINE"
    with pytest.raises(InputError, match=message) as error:
        read_rows(Dataset(hub="owner/pairs", revision=first), "dataset toy")
    assert "\n" not in str(error.value)


def test_local_datasets_are_of_no_commit(hub, tmp_path):
    for entry in (Dataset(hub=hub, config="mrpc"), Dataset(path=write_rows(tmp_path / "a.csv"))):
        assert pinned(entry, "dataset toy") == (entry, None)


def test_a_dataset_by_name_without_a_network_says_what_it_needs_and_what_to_do(offline, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=rf"dataset toy needs {OUTSIDE}@main from .*HF_HUB_OFFLINE.* as `path`"):
        pinned(Dataset(hub=OUTSIDE), "dataset toy")
