"""Pooled vectors in a store, with a pointer in their place."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.base.errors import InputError
from pipeline.formats import vectors
from pipeline.storage import fetched
from pipeline.storage.pointers import followed, put_away
from pipeline.storage.remote import filesystem

PATH = Path("data/pooled/m/vectors.parquet")


@pytest.fixture
def written(tmp_path, monkeypatch, rng):
    """A folder of ours with vectors -> {layer: (S, D)}."""
    monkeypatch.chdir(tmp_path)
    layers = {layer: rng.normal(size=(7, 4)).astype(np.float32) for layer in (0, 3)}
    PATH.parent.mkdir(parents=True)
    vectors.write(PATH, layers, vectors.Info("m", "mean", True))
    return layers


def test_without_a_url_a_file_stays_as_it_is(written, monkeypatch, tmp_path):
    before = PATH.read_bytes()
    for store in (None, str(tmp_path / "shared")):
        monkeypatch.setenv("DRILLCORE_STORE", store) if store else monkeypatch.delenv("DRILLCORE_STORE", raising=False)
        put_away(PATH, "pooled")
        assert PATH.read_bytes() == before
        assert followed(PATH, "pool@m") == PATH


def test_vectors_go_to_the_store_and_another_folder_reads_them(written, monkeypatch, tmp_path, url):
    data = PATH.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    monkeypatch.setenv("DRILLCORE_STORE", url)
    put_away(PATH, "pooled")
    pointer = {"url": f"{url}/pooled/{sha256}/vectors.parquet", "bytes": len(data), "sha256": sha256}
    assert json.loads(PATH.read_text()) == pointer
    fs, there = filesystem(pointer["url"])
    assert fs.cat_file(there) == data
    theirs = tmp_path / "theirs"
    shutil.copytree(tmp_path / "data", theirs / "data")
    monkeypatch.chdir(theirs)
    monkeypatch.delenv("DRILLCORE_STORE")  # the pointer says all
    for _ in range(2):
        read = vectors.read(PATH, "pool@m")
        assert (read.layers, read.path) == ([0, 3], PATH)
        for layer, rows in written.items():
            assert np.array_equal(read.layer(layer), rows)
        fs.rm_file(there) if fs.exists(there) else None  # what was fetched is read again from here
    assert [path.read_bytes() for path, _ in fetched.contents()] == [data]


def test_what_was_put_away_before_is_not_sent_again(written, monkeypatch, memory):
    data = PATH.read_bytes()
    monkeypatch.setenv("DRILLCORE_STORE", memory)
    put_away(PATH, "pooled")
    pointer = PATH.read_text()
    PATH.write_bytes(data)
    monkeypatch.setattr("pipeline.storage.pointers.put", None)
    put_away(PATH, "pooled")
    assert PATH.read_text() == pointer


@pytest.mark.parametrize("text", ["{", '{"url": 1}', "[]x", '{"url": "memory://x/y", "bytes": "?", "sha256": "0"}'])
def test_a_damaged_pointer_is_one_line(written, text):
    PATH.write_text(text)
    with pytest.raises(InputError, match=r"vectors\.parquet is (no pointer|not Parquet)"):
        vectors.read(PATH, "pool@m")


def test_what_the_pointer_stands_for_must_be_what_was_written(written, monkeypatch, memory):
    monkeypatch.setenv("DRILLCORE_STORE", memory)
    put_away(PATH, "pooled")
    fs, there = filesystem(json.loads(PATH.read_text())["url"])
    fs.pipe_file(there, fs.cat_file(there)[:-1])
    with pytest.raises(InputError, match=r"is not what was written \(\d+ of \d+ bytes\): .*dvc repro -f -s pool@m\)"):
        vectors.read(PATH, "pool@m")
    assert not list(fetched.FETCHED.iterdir())
    fs.rm_file(there)
    with pytest.raises(InputError, match=r"is not there .*: make it again \(dvc repro -f -s pool@m\)"):
        vectors.read(PATH, "pool@m")
    PATH.unlink()
    with pytest.raises(InputError, match="run the stage that writes it"):
        vectors.read(PATH, "pool@m")
