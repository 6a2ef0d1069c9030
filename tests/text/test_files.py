"""Files as people bring them: read as what they mean, or refused with the file, the line and the remedy."""

import csv
import datetime
import decimal
import gzip
import json
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.base.errors import InputError
from pipeline.catalog.entries import Dataset
from pipeline.text import lines as lines_module
from pipeline.text import pairs
from pipeline.text.lines import TextFile
from pipeline.text.records import read_jsonl
from pipeline.text.settings import Prepare
from pipeline.text.sources import read_rows

PAIRS = [("a cat sat", "the cat sat", 1.0), ("it rains", "dogs bark", 0.0)]
NAMES = ("sentence1", "sentence2", "label")


def as_file(tmp_path, content, ending=".csv"):
    path = tmp_path / f"given{ending}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def rows_of(tmp_path, content, ending=".csv", **fields):
    """[(sentence1, sentence2, label)] of a file."""
    table = read_rows(Dataset(path=as_file(tmp_path, content, ending), **fields), "dataset toy")
    return table.select(NAMES).rows()


def refused(tmp_path, content, ending=".csv", **fields):
    """The one line that a file is refused with."""
    entry = Dataset(path=as_file(tmp_path, content, ending), **fields)
    with pytest.raises(InputError) as caught:
        pairs.prepare(entry, "toy", Prepare(limit=None))
    message = str(caught.value)
    assert "\n" not in message
    return message


def lines(separator=",", header=NAMES, end="\n", rows=PAIRS):
    cells = [header, *rows] if header else rows
    return "".join(separator.join(str(cell) for cell in row) + end for row in cells)


# text stays text


@pytest.mark.parametrize(("ending", "separator"), [(".csv", ","), (".tsv", "\t")])
def test_sentences_that_look_like_numbers_stay_as_they_are_written(tmp_path, ending, separator):
    given = [("007", "7", 1.0), ("0123", "1e5", 0.0), ("1.50", "1.5", 1.0), ("true", "NA", 0.0)]
    assert rows_of(tmp_path, lines(separator, rows=given), ending) == given


def test_one_file_of_numbers_beside_one_of_words(tmp_path):
    numbers = as_file(tmp_path, lines(rows=[("12345678901234567890", "0.10", 1), ("TRUE", "false", 0)]), "-b.csv")
    words = as_file(tmp_path, lines(), "-a.csv")
    table = read_rows(Dataset(path={"train": words, "test": numbers}), "dataset toy")
    assert table["sentence1"].to_list() == ["a cat sat", "it rains", "12345678901234567890", "TRUE"]
    assert table["label"].to_list() == [1, 0, 1, 0]


def test_numbers_of_a_json_file_stay_as_they_are_written(tmp_path):
    text = '{"sentence1": 1.50, "sentence2": "x", "label": 1}\n{"sentence1": 12e3, "sentence2": "y", "label": "0"}\n'
    assert rows_of(tmp_path, text, ".jsonl") == [("1.50", "x", 1), ("12e3", "y", 0)]


def test_a_column_of_numbers_in_a_typed_file_is_no_text(tmp_path):
    pl.DataFrame({"sentence1": [7, 8], "sentence2": ["a", "b"], "label": [0, 1]}).write_parquet(tmp_path / "n.parquet")
    with pytest.raises(InputError, match="column sentence1 holds Int64, expected text"):
        read_rows(Dataset(path=str(tmp_path / "n.parquet")), "dataset toy")


# encodings, endings, compression


@pytest.mark.parametrize(
    "content",
    [
        lines().encode("utf-8-sig"),
        lines().encode("utf-16"),  # as Excel saves "Unicode text"
        b"\xfe\xff" + lines().encode("utf-16-be"),
        lines(end="\r\n").encode(),
        (lines() + "\n\n  \n").encode(),
        lines().replace("\nit", "\n\nit").encode(),
        lines().rstrip("\n").encode(),
    ],
)
def test_marks_and_line_ends_of_other_programs_change_nothing(tmp_path, content):
    assert rows_of(tmp_path, content) == PAIRS


@pytest.mark.parametrize(("ending", "separator"), [(".CSV", ","), (".Tsv", "\t")])
def test_an_ending_in_capitals(tmp_path, ending, separator):
    assert rows_of(tmp_path, lines(separator), ending) == PAIRS


@pytest.mark.parametrize(("ending", "separator"), [(".csv.gz", ","), (".tsv.GZ", "\t")])
def test_a_gzipped_file(tmp_path, ending, separator):
    assert rows_of(tmp_path, gzip.compress(lines(separator).encode()), ending) == PAIRS


def test_a_gzipped_file_that_is_none_or_cut_is_named(tmp_path):
    whole = gzip.compress(lines().encode() * 50)
    for content in (lines().encode(), whole[:-9], whole[:40] + b"?" + whole[41:]):
        assert "given.csv.gz is not what its ending says, or is damaged" in refused(tmp_path, content, ".csv.gz")


def test_an_encoding_is_taken_from_the_entry_and_else_asked_for_with_the_line(tmp_path):
    content = lines(rows=[*PAIRS, ("café", "coffee", 1)]).encode("cp1252")
    message = refused(tmp_path, content)
    assert "given.csv, line 4, is not text in utf-8" in message
    assert "`encoding: cp1252`" in message
    assert rows_of(tmp_path, content, encoding="cp1252")[2][0] == "café"
    assert "expected one that Python knows" in refused(tmp_path, content, encoding="klingon")


def test_a_zero_byte_is_named_with_its_line(tmp_path):
    assert "line 2, holds a zero byte" in refused(tmp_path, lines().replace("cat", "c\0t"))


def test_a_pointer_of_git_lfs_is_no_data(tmp_path):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 4\n"
    for ending in (".csv", ".parquet", ".jsonl"):
        assert "is a pointer of Git LFS, not the data: fetch them with git lfs pull" in refused(
            tmp_path, pointer, ending
        )


# cells


def test_another_separator_is_taken_from_the_entry_and_else_named(tmp_path):
    assert rows_of(tmp_path, lines(";"), separator=";") == PAIRS
    assert "separated by ';': say so with `separator: ';'`" in refused(tmp_path, lines(";"))
    assert r"separated by '\t'" in refused(tmp_path, lines("\t"))
    assert "separated by ','" in refused(tmp_path, lines(","), ".tsv")
    assert "expected one character" in refused(tmp_path, lines(";"), separator="; ")


def test_columns_by_number_where_there_is_no_header(tmp_path):
    columns = {"sentence1": 0, "sentence2": 1, "label": 2}
    assert rows_of(tmp_path, lines(header=None), header=False, columns=columns) == PAIRS
    assert rows_of(tmp_path, lines(header=(0, 1, 2)), columns=columns) == PAIRS  # a header of numbers
    assert "`header: false` if its first line is a pair" in refused(tmp_path, lines(header=None), columns=columns)
    assert "has no column" in refused(tmp_path, lines(header=None), header=False, columns={"sentence1": 3})


def test_a_line_with_more_or_fewer_cells_is_named(tmp_path):
    ragged = lines("\t") + "a\tb\t1\tlicence\n"
    assert "given.tsv, line 4, has 4 cells where the first has 3" in refused(tmp_path, ragged, ".tsv")
    assert "given.csv, line 4, has 2 cells where the first has 3" in refused(tmp_path, lines() + "a,b\n")
    quoted = lines("\t") + '"a\tb"\tc\t1\n'
    assert "set `quoting: true` if quotes enclose separators" in refused(tmp_path, quoted, ".tsv")


def test_blanks_in_a_header_are_named(tmp_path):
    assert "blanks around ' sentence2'" in refused(tmp_path, lines(", "))
    assert "has 'label' twice" in refused(tmp_path, lines(header=("sentence1", "label", "label")))


def test_a_broken_quote_is_named_with_its_line(tmp_path):
    for broken in ('"a cat" sat,b,1\n', '"a cat sat,b,1\nc,d,0\n'):
        message = refused(tmp_path, lines() + broken)
        assert "given.csv, line 4: its quotes are not those of a CSV" in message
        assert "`quoting: false`" in message
    assert rows_of(tmp_path, lines() + '"a cat" sat,b,1\n', quoting=False)[2][0] == '"a cat" sat'


def test_a_cell_may_be_long_and_readers_elsewhere_keep_their_limit(tmp_path):
    before = csv.field_size_limit()
    assert rows_of(tmp_path, lines()) == PAIRS
    assert csv.field_size_limit() == before
    long = [("word " * 50_000, "short", 1.0), *PAIRS]
    assert rows_of(tmp_path, lines(rows=long)) == long


def test_a_cell_of_many_lines_is_counted_in_lines(tmp_path):
    assert "line 6, has 1 cells" in refused(tmp_path, lines() + '"two\nlines",b,1\nc\n')


@pytest.mark.parametrize(
    "text",
    [
        'sentence1\tsentence2\tlabel\n"He said ""hi"" twice."\tHe greeted us.\t1\nplain\tother\t0\n',  # pandas
        '"sentence1"\t"sentence2"\t"label"\n"A cat."\t"The cat."\t1\n"B"\t"C"\t0\n',  # R
        'sentence1\tsentence2\tlabel\n"A cat."\tThe cat.\t1\n"B"\tC\t0\n',
    ],
)
def test_tsv_with_quotes_around_cells_is_asked_about_and_read_as_told(tmp_path, text):
    message = refused(tmp_path, text, ".tsv")
    assert "quotes" in message
    assert "`quoting: true`" in message
    assert "`quoting: false`" in message
    assert "line 4" in refused(tmp_path, "\n\n" + text, ".tsv") or "every cell" in message or "header" in message
    assert not any('"' in row[0].replace('"hi"', "") for row in rows_of(tmp_path, text, ".tsv", quoting=True))
    plain = {} if text.startswith("s") else {name: f'"{name}"' for name in NAMES}
    assert rows_of(tmp_path, text, ".tsv", quoting=False, columns=plain)[0][0].startswith('"')


def test_tsv_with_quotes_that_enclose_newlines(tmp_path):
    text = 'id\tq1\tq2\tsame\n"0"\t"What is\nrain?"\t"What is ""rain""?"\t"1"\n"1"\t"Why?"\t"How?"\t"0"\n'
    columns = {"sentence1": "q1", "sentence2": "q2", "label": "same", "idx": "id"}
    assert "`quoting: true`" in refused(tmp_path, text, ".tsv", columns=columns)
    told = rows_of(tmp_path, text, ".tsv", columns=columns, quoting=True)
    assert told == [("What is\nrain?", 'What is "rain"?', 1), ("Why?", "How?", 0)]


def test_quotes_that_are_text_are_not_asked_about(tmp_path):
    given = [('"No", he said.', '"Yes', 1.0), ('five 5" nails', '"Stop"', 0.0), ('""', 'say ""no"" now', 1.0)]
    assert rows_of(tmp_path, lines("\t", rows=given), ".tsv") == given


def test_raw_mrpc_is_not_asked_about(tmp_path, testdata):
    raw = pl.read_parquet(testdata / "mrpc.parquet").select("sentence1", "sentence2", "label").rows()
    assert rows_of(tmp_path, lines("\t", rows=raw), ".tsv") == [(a, b, float(label)) for a, b, label in raw]


def test_bytes_as_python_prints_them_are_read_as_what_was_meant(tmp_path):
    given = [(r"b'caf\xc3\xa9 open'", 'b"the queen , \'twas said"', 1), ("b'a b'", "b'b a'", 0)]
    expected = [("café open", "the queen , 'twas said", 1), ("a b", "b a", 0)]
    assert rows_of(tmp_path, lines("\t", rows=given), ".tsv") == expected
    damaged = [(r"b'caf\xff'", "b'x'", 1), ("b'a b'", "b'y'", 0)]
    assert "looks like Python's bytes, but is none" in refused(tmp_path, lines("\t", rows=damaged), ".tsv")
    some = [("b'a b'", "x", 1.0), ("plain", "y", 0.0)]  # a sentence may look so
    assert rows_of(tmp_path, lines("\t", rows=some), ".tsv") == some


# JSON


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"sentence1": "a", "sent', "given.jsonl, line 2, is not JSON"),
        ('{"sentence1": "a", "sentence2": "b", "label": NaN}', "line 2, is not JSON: NaN is no number of JSON"),
        ("// a comment", "line 2, is not JSON"),
        ("[1, 2]", "line 2, holds list, expected an object"),
        (r'{"sentence1": "a \ud800 b", "sentence2": "b", "label": 1}', "line 2: column sentence1 holds half of a surr"),
        ('{"sentence1": "a", "sentence2": "b", "label": [3, 2]}', "line 2: column label holds a list"),
        ('{"sentence1": {"en": "a"}, "sentence2": "b", "label": 1}', "line 2: column sentence1 holds an object"),
        ("[" * 100_000, "line 2, is not JSON"),
    ],
)
def test_a_line_of_json_that_cannot_be_read_is_named(tmp_path, line, message):
    good = '{"sentence1": "e", "sentence2": "f", "label": 0}\n'
    assert message in refused(tmp_path, good + line + "\n" + good, ".jsonl")


def test_json_lines_with_a_mark_blank_lines_and_columns_of_any_kind_besides(tmp_path):
    first = '{"sentence1": "e", "sentence2": "f", "label": 0, "tokens": [1, 2], "meta": {"a": 1}}\n'
    text = "\ufeff" + first + "\n" + '{"sentence1": "g", "sentence2": "h", "label": true}\n\n'
    assert rows_of(tmp_path, text, ".jsonl") == [("e", "f", 0), ("g", "h", 1)]


def test_a_list_of_objects(tmp_path):
    text = '[{"sentence1": "e", "sentence2": "f", "label": 0},\n {"sentence1": "g", "sentence2": "h", "label": 1}]'
    assert rows_of(tmp_path, text, ".json") == [("e", "f", 0), ("g", "h", 1)]
    assert "expected a list of objects" in refused(tmp_path, '{"sentence1": ["a"]}', ".json")
    assert "call it .jsonl" in refused(tmp_path, '{"sentence1": "a"}\n{"sentence1": "b"}\n', ".json")


# typed files


def table(**columns):
    plain = {"sentence1": ["a b", "e f", "i j"], "sentence2": ["c d", "g h", "k l"], "label": [1, 0, 1]}
    return pa.table(plain | columns)


def from_parquet(tmp_path, given, **fields):
    pq.write_table(given, tmp_path / "t.parquet")
    return read_rows(Dataset(path=str(tmp_path / "t.parquet"), **fields), "dataset toy")


def test_categories_are_the_texts_that_they_stand_for(tmp_path):
    given = table(
        sentence1=pa.array(["x", "y", "x"]).dictionary_encode(),
        label=pa.array(["1", "0", "1"]).dictionary_encode(),
        split=pa.array(["dev", "test", "dev"]).dictionary_encode(),
    )
    read = from_parquet(tmp_path, given)
    assert read["sentence1"].to_list() == ["x", "y", "x"]
    assert read["label"].to_list() == [1, 0, 1]
    assert read["split"].to_list() == ["dev", "test", "dev"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"label": [datetime.datetime(2020, 1, day) for day in (1, 2, 3)]}, "column label holds Datetime"),
        ({"label": [datetime.date(2020, 1, day) for day in (1, 2, 3)]}, "column label holds Date"),
        ({"label": [[1], [0], [1]]}, "column label holds List"),
        ({"idx": [0.5, 1.9, 2.0]}, "idx 0.5 is not a whole number"),
        ({"idx": [decimal.Decimal("1.5"), decimal.Decimal("2"), decimal.Decimal("3")]}, "idx .* is not a whole number"),
        ({"idx": [b"1", b"2", b"3"]}, "column idx holds Binary"),
        ({"label": [b"\xff", b"1", b"0"]}, "column label holds Binary"),
        ({"label": [datetime.timedelta(1)] * 3}, "column label holds Duration"),
        ({"split": [b"\xff", b"a", b"a"]}, "column split holds Binary"),
        ({"split": [datetime.timedelta(1)] * 3}, "column split holds Duration"),
        ({"split": [datetime.date(2020, 1, 1)] * 3}, "column split holds Date"),
        ({"idx": [1.0, None, 2.0]}, "idx None is not a whole number"),
        ({"split": ["train", None, "train"]}, "the split of row 1 is empty"),
        ({"split": ["train", "train", " "]}, "the split of row 2 is empty"),
        ({"split": [["train"]] * 3}, "column split holds List"),
        ({"sentence1": [["a"], ["b"], ["c"]]}, "column sentence1 holds List"),
        ({"sentence1": [b"a", b"b", b"c"]}, "column sentence1 holds Binary"),
    ],
)
def test_a_typed_column_that_holds_something_else_is_named(tmp_path, columns, message):
    with pytest.raises(InputError, match=message):
        from_parquet(tmp_path, table(**columns))


def test_whole_numbers_as_fractions_number_the_rows(tmp_path):
    assert from_parquet(tmp_path, table(idx=[3.0, 1.0, 2.0]))["idx"].to_list() == [3, 1, 2]


# several files, columns, splits, labels


def test_several_files_of_a_split(tmp_path):
    files = [as_file(tmp_path, lines(), f"-{i}.csv") for i in range(3)]
    rows = read_rows(Dataset(path={"train": files[:2], "test": files[2]}), "dataset toy")
    assert rows["split"].to_list() == ["train"] * 4 + ["test"] * 2
    assert len(read_rows(Dataset(path=files), "dataset toy")) == 6


@pytest.mark.parametrize("path", [{"train": 7}, {"train": [7]}, {"train": None}, {"train": []}, [], [""], {}])
def test_a_path_that_names_no_file_is_refused(path):
    with pytest.raises(InputError, match=r"path.* is (7|None|''|an empty)"):
        Dataset(path=path)


def test_one_column_used_twice_and_one_split_used_twice_are_refused():
    with pytest.raises(InputError, match="columns has q of the source twice"):
        Dataset(path="a.csv", columns={"sentence1": "q", "sentence2": "q"})
    with pytest.raises(InputError, match="splits has dev of the source twice: one of ours would be lost"):
        Dataset(path="a.csv", splits={"x": "dev", "y": "dev"})
    with pytest.raises(InputError, match=r"columns has \['q'\], expected a name"):
        Dataset(path="a.csv", columns={"label": ["q"]})


def graded(*labels):
    return lines(rows=[(f"a {i}", f"b {i}", label) for i, label in enumerate(labels)])


def test_one_negative_label_among_others_is_asked_about(tmp_path):
    message = refused(tmp_path, graded(1, 0, -1, 0, -1))
    assert "label -1 in 2 of 5 pairs, all others are 0 or more" in message
    assert "`no_label: -1`" in message
    assert [row[2] for row in rows_of(tmp_path, graded(1, 0, -1, 0, -1), no_label=-1)] == [1, 0, 0]
    assert "label -9 in 1 of 4" in refused(tmp_path, graded(0.5, 3, -9, 5))


@pytest.mark.parametrize("labels", [(-1, 1, 1, -1), (-2, -1, 0, 1), (0, 1, 2), (-0.5, -3, 4)])
def test_negative_labels_that_are_labels_are_read(tmp_path, labels):
    entry = Dataset(path=as_file(tmp_path, graded(*labels)))
    assert pairs.prepare(entry, "toy", Prepare(limit=None)).pairs["label"].to_list() == list(labels)


def test_labels_with_blanks_and_truth_values_are_numbers_and_others_are_shown(tmp_path):
    assert [row[2] for row in rows_of(tmp_path, graded(" 1", "0 ", "TRUE", "false"))] == [1, 0, 1, 0]
    for wrong in ("1,5", "yes", "1_0", "0x1", ""):
        assert "is not a number" in refused(tmp_path, graded(1, 0, f'"{wrong}"'))


# in blocks


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".json"])
@pytest.mark.parametrize("rows", [1, 3, 7])
def test_a_file_is_the_same_in_blocks_of_any_size(tmp_path, monkeypatch, ending, rows):
    given = [(f"a cat {i}", f'"the" cat {i}' if i % 3 else f"it, {i}", i % 2) for i in range(7)]
    table = pl.DataFrame(given, NAMES, orient="row").with_columns(pl.lit("left out").alias("more"))
    written = {
        ".csv": lambda: table.write_csv(),
        ".tsv": lambda: table.write_csv(separator="\t", quote_style="never"),
        ".jsonl": lambda: table.write_ndjson(),
        ".json": lambda: json.dumps(table.to_dicts()),
    }[ending]()
    at_once = rows_of(tmp_path, written, ending)
    monkeypatch.setattr(lines_module, "ROWS_AT_ONCE", rows)
    assert rows_of(tmp_path, written, ending) == at_once == given


def test_a_column_that_begins_late_is_null_before(tmp_path, monkeypatch):
    monkeypatch.setattr(lines_module, "ROWS_AT_ONCE", 2)
    begin = [{"sentence1": "a", "sentence2": "b", "label": i % 2} for i in range(5)]
    written = "".join(json.dumps(row | ({"idx": 7} if i > 2 else {})) + "\n" for i, row in enumerate(begin))
    file = TextFile(Path(as_file(tmp_path, written, ".jsonl")), "given.jsonl", zipped=False, encoding=None)
    table = read_jsonl(file, Dataset(), ["sentence1", "idx"])
    assert table.columns == ["sentence1", "sentence2", "label", "idx"]
    assert table["idx"].to_list() == [None, None, None, "7", "7"]
    assert table["sentence2"].to_list() == [None] * 5, "only the name of a column that nobody wants"
