import json
import os

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.base.files import replacing, write_json, write_text


def test_a_file_appears_only_when_the_block_ends_well(tmp_path):
    path = tmp_path / "deep/down/a.txt"
    with replacing(path) as part:
        part.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    with pytest.raises(ZeroDivisionError), replacing(path) as part:
        part.write_text("half" * (1 // 0))
    assert path.read_text() == "new"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_a_block_that_is_stopped_leaves_the_old_file_and_no_part(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half():
        with replacing(path) as part:
            part.write_text("half")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_hard_link_of_the_old_file_keeps_its_content(tmp_path):
    """DVC's cache holds such links."""
    path, cached = tmp_path / "a.txt", tmp_path / "cached"
    path.write_text("old")
    os.link(path, cached)
    with replacing(path) as part:
        part.write_text("new")
    assert (path.read_text(), cached.read_text()) == ("new", "old")


def test_text_is_written_in_utf8_whatever_the_locale(tmp_path):
    write_text(tmp_path / "a/b.md", "rho = ρ\n")
    assert (tmp_path / "a/b.md").read_bytes() == "rho = ρ\n".encode()


def test_json_is_read_back_in_its_order(tmp_path):
    value = {"b": [1, 2.5, None], "a": {"text": "ρ"}}
    write_json(tmp_path / "a.json", value)
    assert list(json.loads((tmp_path / "a.json").read_text()).items()) == list(value.items())


@pytest.mark.parametrize(
    "write",
    [
        lambda part: part.write_text("x" * 100_000),
        lambda part: pl.DataFrame({"a": range(100_000)}).write_csv(part),
        lambda part: pq.write_table(pa.table({"a": np.random.default_rng(0).random(100_000)}), part),
    ],
)
def test_a_full_disk_is_one_sentence_that_names_the_file_and_leaves_the_old_one(tmp_path, write):
    path = tmp_path / "a.txt"
    path.write_text("old")
    (tmp_path / "a.txt.part").symlink_to("/dev/full")  # where every write says that the disk is full
    with (
        pytest.raises(OSError, match=r"the disk is full, nothing was changed: free some space.*a\.txt"),
        replacing(path) as part,
    ):
        write(part)
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"
