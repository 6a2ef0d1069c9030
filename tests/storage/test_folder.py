"""Claims and locks of a folder that workers share, and how shards get to where they are read."""

import errno
import fcntl
import multiprocessing
import os
import socket

import pytest

from pipeline.base.errors import InputError
from pipeline.storage import folder as folders
from pipeline.storage import locks
from pipeline.storage.folder import Folder
from tests.helpers import contents

HERE = f"process {os.getpid()} on {socket.gethostname()}"


def test_any_number_of_workers_hold_a_key_and_whoever_clears_it_is_alone(tmp_path):
    folder = Folder(tmp_path / "store/key")
    message = r"another process is writing or clearing this very dump \(.*store/key\): wait for it, or stop it"
    with folder.held(), folder.held():
        with pytest.raises(InputError, match=message), folder.alone():
            pass
        with Folder(tmp_path / "store/other").alone():
            pass
    with folder.alone():
        with pytest.raises(InputError, match=message), folder.alone():
            pass
        with pytest.raises(InputError, match="is being cleared: run again once that is over"), folder.held():
            pass
    with folder.held():
        pass


def test_who_has_claimed_a_shard_is_named(tmp_path):
    folder = Folder(tmp_path)
    with folder.held():
        claims = [folder.claim(name) for name in ("a.arrow", "b.arrow")]
        with pytest.raises(InputError, match=f"^{HERE} is writing"), folder.alone():
            pass
        for claim in claims:
            claim.release()
        with pytest.raises(InputError, match=r"^another process is writing"), folder.alone():
            pass


def test_a_shard_is_claimed_by_one_at_a_time(tmp_path):
    folder = Folder(tmp_path)
    assert not folder.claimed("a.arrow")
    claim = folder.claim("a.arrow")
    assert folder.claimed("a.arrow")
    assert folder.claim("a.arrow") is None
    assert folder.claim("b.arrow") is not None
    claim.release()
    claim.release()
    assert not folder.claimed("a.arrow")
    assert folder.claim("a.arrow") is not None


def hold(path, ready, go):
    """Claim a shard, write half of it, and wait to be killed."""
    claim = Folder(path).claim("a.arrow")
    claim.part.write_bytes(b"half")
    ready.set()
    go.wait(60)


def test_a_claim_ends_with_its_process_and_what_it_left_is_taken_away(tmp_path):
    spawn = multiprocessing.get_context("fork")
    ready, go = spawn.Event(), spawn.Event()
    process = spawn.Process(target=hold, args=(tmp_path, ready, go))
    process.start()
    assert ready.wait(30)
    assert Folder(tmp_path).claim("a.arrow") is None
    process.kill()
    process.join()
    claim = Folder(tmp_path).claim("a.arrow")
    assert claim is not None
    assert not list(tmp_path.glob("*.part"))
    assert claim.part.name != "a.arrow.part"


def test_the_lock_of_a_file_that_was_removed_meanwhile_is_no_lock(tmp_path, monkeypatch):
    """Between opening and locking another process removes the file and makes it anew: the new one is locked."""
    path, honest, calls = tmp_path / "key/lock", fcntl.flock, []

    def remove_first(lock, operation):
        if not calls:
            path.unlink()
            path.touch()
        calls.append(operation)
        honest(lock, operation)

    monkeypatch.setattr(locks.fcntl, "flock", remove_first)
    with locks.take(path, fcntl.LOCK_EX | fcntl.LOCK_NB) as lock:
        assert len(calls) == 2
        assert os.path.samestat(os.fstat(lock.fileno()), path.stat())


def test_a_file_system_without_locks_is_one_line(tmp_path, monkeypatch):
    def fail(lock, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(locks.fcntl, "flock", fail)
    with pytest.raises(InputError, match=r"has no locks \(No locks available\).*set DRILLCORE_STORE to another"):
        Folder(tmp_path).claim("a.arrow")


def test_receipts_are_those_of_shards_of_their_size(tmp_path):
    folder, names = Folder(tmp_path), ["a.arrow", "b.arrow", "c.arrow", "d.arrow"]
    for name in names[:3]:
        claim = folder.claim(name)
        claim.part.write_bytes(b"12345")
        claim.publish({"bytes": 5, "sha256": name})
        claim.release()
    (tmp_path / "b.arrow").write_bytes(b"123")
    (tmp_path / "c.json").write_text("{")
    assert folder.receipts(names) == {"a.arrow": {"bytes": 5, "sha256": "a.arrow"}}


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
    assert not Folder(built).published(NAMES, out)
    Folder(built).publish(NAMES, out, {})
    assert Folder(built).published(NAMES, out)
    assert sorted(file.name for file in out.iterdir()) == NAMES
    assert all((out / name).samefile(built / name) for name in NAMES)


def test_claims_of_workers_that_were_killed_go_when_shards_are_published(built, tmp_path):
    """The first was killed once its shard had its name; the second is at it."""
    folder = Folder(built)
    (built / f"{NAMES[0]}.claim").write_text("process 1 on elsewhere")
    claim = folder.claim(NAMES[1])
    folder.publish(NAMES, tmp_path / "out", {})
    assert [path.name for path in built.glob("*.claim")] == [f"{NAMES[1]}.claim"]
    assert folder.claim(NAMES[1]) is None
    claim.release()


def link_fails(number):
    def link(source, target):
        raise OSError(number, os.strerror(number))

    return link


@pytest.mark.parametrize("number", folders.NO_LINKS)
def test_where_there_are_no_links_shards_are_copied(built, tmp_path, monkeypatch, number):
    monkeypatch.setattr(folders.os, "link", link_fails(number))
    Folder(built).publish(NAMES, tmp_path / "out", {})
    assert {name: (tmp_path / "out" / name).stat().st_nlink for name in NAMES} == dict.fromkeys(NAMES, 1)
    assert list(contents(tmp_path / "out").values()) == list(contents(built).values())


def test_another_reason_not_to_link_is_an_error(built, tmp_path, monkeypatch):
    monkeypatch.setattr(folders.os, "link", link_fails(errno.EACCES))
    with pytest.raises(OSError, match="Permission denied"):
        Folder(built).publish(NAMES, tmp_path / "out", {})


def test_a_copy_that_fills_the_disk_leaves_no_half(built, tmp_path, monkeypatch):
    def copyfile(source, target):
        target.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(folders.os, "link", link_fails(errno.EXDEV))
    monkeypatch.setattr(folders.shutil, "copyfile", copyfile)
    with pytest.raises(InputError, match=r"the disk of .*out is full"):
        Folder(built).publish(NAMES, tmp_path / "out", {})
    assert list((tmp_path / "out").iterdir()) == []


def test_what_is_published_are_exactly_these_shards(built, tmp_path):
    folder, out = Folder(built), tmp_path / "out"
    folder.publish(NAMES, out, {})
    (out / "shard-00002.arrow").touch()
    assert not folder.published(NAMES, out)
    (out / "shard-00002.arrow").unlink()
    assert folder.published(NAMES, out)
    data = (out / NAMES[0]).read_bytes()
    (out / NAMES[0]).unlink()
    (out / NAMES[0]).write_bytes(data)
    assert not folder.published(NAMES, out), "the same bytes, but no link: they may be of another dump"
