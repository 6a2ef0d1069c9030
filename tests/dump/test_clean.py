"""The scratch store: what it holds, and clearing it by the command."""

import os
import shutil
import socket
from pathlib import Path

import pytest

from pipeline.base.errors import InputError
from pipeline.dump import clean
from pipeline.storage.folder import Folder
from pipeline.storage.places import dumps_here
from tests.helpers import ROOT, run


@pytest.fixture
def store(model, dump, sentences, tmp_path):
    """Two dumps in .drillcore/dumps: `key`, whose shards are linked elsewhere, and `other`, whose are not."""
    given = sentences(900)
    dump(model, given, scratch=dumps_here())
    dump(model, given, scratch=dumps_here(), key="other", out="copy")
    for path in (tmp_path / "copy").iterdir():
        path.unlink()
    return tmp_path / dumps_here()


def test_contents_by_the_files(store):
    dumps = {dump.key: dump for dump in clean.contents(store)}
    assert dumps.keys() == {"key", "other"}
    for key, held in dumps.items():
        sizes = [path.stat().st_size for path in (store / key).glob("*.arrow")]
        assert (held.shards, held.bytes) == (len(sizes), sum(sizes))
    assert (dumps["key"].shared, dumps["other"].shared) == (dumps["key"].bytes, 0)
    assert str(dumps["key"]).startswith(f"key  {dumps['key'].shards:4d} shards ")
    assert f"{dumps['key'].bytes / 1e6:.1f} MB; " in clean.summary([dumps["key"]])
    assert "has 0.0 MB more" in clean.summary([dumps["key"]])


def test_a_shard_in_progress_counts_and_the_newest_is_last(tmp_path):
    for age, name in ((200, "older"), (100, "newer")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "shard-00000.arrow.part").write_bytes(b"abc")
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    assert [(held.key, held.shards, held.bytes) for held in clean.contents(tmp_path)] == [
        ("older", 0, 3),
        ("newer", 0, 3),
    ]
    assert clean.contents(tmp_path / "nowhere") == []


def test_what_a_dump_renames_and_another_clears_while_one_looks_is_left_out(tmp_path, monkeypatch):
    for name in ("dumping", "cleared"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "shard-00000.arrow").write_bytes(b"abc")
        (tmp_path / name / "shard-00001.arrow.part").write_bytes(b"ab")
    honest = Path.stat

    def meanwhile(path, **more):
        if path.name == "shard-00001.arrow.part":
            path.rename(path.with_suffix(""))
        if path.name == "cleared":
            shutil.rmtree(path, ignore_errors=True)
        return honest(path, **more)

    monkeypatch.setattr(Path, "stat", meanwhile)
    assert [(held.key, held.shards, held.bytes) for held in clean.contents(tmp_path)] == [("dumping", 1, 3)]


def test_clearing_removes_a_key_and_nothing_that_was_published(store, tmp_path):
    with Folder(store / "key").held(), pytest.raises(InputError, match="is writing or clearing"):
        clean.clear("key", store)
    clean.clear("key", store)
    assert [path.name for path in store.iterdir()] == ["other"]
    assert list((tmp_path / "out").glob("*.arrow"))


def test_the_command_shows_and_clears_the_store(store, tmp_path):
    def command(*options):
        return run(tmp_path, "python", "-m", "stages.clean", *options, check=False, PYTHONPATH=str(ROOT))

    total = sum(held.bytes for held in clean.contents(store))
    assert f"2 dumps, {total / 1e6:.1f} MB" in command().stdout
    unknown = command("--remove", "othr")
    assert unknown.returncode == 1
    assert "'othr': did you mean other?" in unknown.stderr
    assert "removed other" in command("--remove", "other").stdout
    assert [path.name for path in store.iterdir()] == ["key"]
    folder = Folder(store / "key")
    with folder.held():
        claim = folder.claim("shard-00000.arrow")
        assert f"process {os.getpid()} on {socket.gethostname()} is writing" in command("--all").stderr
        claim.release()
    assert "removed key" in command("--all").stdout
    assert list(store.iterdir()) == []
    assert list((tmp_path / "out").glob("*.arrow")), "what was published stays"
