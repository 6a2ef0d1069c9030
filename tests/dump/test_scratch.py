"""The lock of a key, and how shards get to where they are read."""

import errno
import fcntl
import os

import pytest

from pipeline.base.errors import InputError
from pipeline.dump import scratch
from tests.helpers import contents


def test_a_key_is_held_by_one_at_a_time(tmp_path):
    folder = tmp_path / "store/key"
    message = rf"process {os.getpid()} is writing or clearing this very dump \(.*store/key\): wait for it, or stop it"
    with scratch.locked(folder) as held:
        assert held == folder
        with pytest.raises(InputError, match=message), scratch.locked(folder):
            pass
        with scratch.locked(tmp_path / "store/other"):
            pass
    with scratch.locked(folder):
        pass


def test_the_lock_of_a_folder_that_was_cleared_meanwhile_is_no_lock(tmp_path, monkeypatch):
    """Between opening and locking another process clears the folder and makes it anew."""
    folder, honest = tmp_path / "key", fcntl.flock

    def clear_first(lock, operation):
        (folder / "lock").unlink()
        (folder / "lock").touch()
        honest(lock, operation)

    monkeypatch.setattr(scratch.fcntl, "flock", clear_first)
    with pytest.raises(InputError, match="writing or clearing"), scratch.locked(folder):
        pass


@pytest.fixture
def built(tmp_path):
    """A scratch folder with two shards."""
    folder = tmp_path / "key"
    folder.mkdir()
    for name in ("shard-00000.arrow", "shard-00001.arrow"):
        (folder / name).write_bytes(name.encode())
    return folder


NAMES = ["shard-00000.arrow", "shard-00001.arrow"]


def test_published_shards_are_links_and_nothing_of_an_earlier_dump_stays(built, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    for stale in ("shard-00000.arrow", "shard-00099.arrow"):
        (out / stale).write_bytes(b"of an earlier dump with more shards")
    scratch.publish(built, NAMES, out)
    assert sorted(file.name for file in out.iterdir()) == NAMES
    assert all((out / name).samefile(built / name) for name in NAMES)


def link_fails(number):
    def link(source, target):
        raise OSError(number, os.strerror(number))

    return link


@pytest.mark.parametrize("number", scratch.NO_LINKS)
def test_where_there_are_no_links_shards_are_copied(built, tmp_path, monkeypatch, number):
    monkeypatch.setattr(scratch.os, "link", link_fails(number))
    scratch.publish(built, NAMES, tmp_path / "out")
    assert {name: (tmp_path / "out" / name).stat().st_nlink for name in NAMES} == dict.fromkeys(NAMES, 1)
    assert list(contents(tmp_path / "out").values()) == list(contents(built).values())


def test_another_reason_not_to_link_is_an_error(built, tmp_path, monkeypatch):
    monkeypatch.setattr(scratch.os, "link", link_fails(errno.EACCES))
    with pytest.raises(OSError, match="Permission denied"):
        scratch.publish(built, NAMES, tmp_path / "out")


def test_a_copy_that_fills_the_disk_leaves_no_half(built, tmp_path, monkeypatch):
    def copyfile(source, target):
        target.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(scratch.os, "link", link_fails(errno.EXDEV))
    monkeypatch.setattr(scratch.shutil, "copyfile", copyfile)
    with pytest.raises(InputError, match=r"the disk of .*out is full"):
        scratch.publish(built, NAMES, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
