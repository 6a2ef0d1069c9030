"""Files of a store that are read here: whole, once, and up to a limit, whatever else is going on."""

import errno
import fcntl
import hashlib
import os
import secrets
import threading

import pytest

from pipeline.base.errors import InputError
from pipeline.storage import fetched, locks, remote
from pipeline.storage.remote import filesystem
from tests.helpers import wait_until


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def put(rng):
    """A function: put so many random bytes below a URL -> the arguments of `fetched`, and the bytes."""

    def put_file(url, size=1000):
        fs, path = filesystem(given := f"{url}/{secrets.token_hex(4)}.arrow")
        data = rng.bytes(size)
        remote.make_folder(fs, path.rsplit("/", 1)[0])
        fs.pipe_file(path, data)
        return (given, size, hashlib.sha256(data).hexdigest(), "dump@m"), data

    return put_file


@pytest.fixture
def asked(monkeypatch):
    """The paths of all downloads from now on."""
    paths, honest = [], remote.get

    def noted(fs, path, *others):
        paths.append(path)
        return honest(fs, path, *others)

    monkeypatch.setattr(fetched, "get", noted)
    return paths


def kept():
    return {path.name for path in fetched.FETCHED.iterdir()}


@pytest.mark.parametrize("size", [0, 1, 299, 300, 301, 1200, 3001])
def test_a_file_of_many_parts_is_fetched_once_and_is_what_was_written(put, asked, url, monkeypatch, size):
    monkeypatch.setattr(remote, "PART", 100)
    monkeypatch.setattr(remote, "PARTS", 3)
    given, data = put(url, size)
    for _ in range(2):
        assert fetched.fetched(*given).read_bytes() == data
    assert len(asked) == 1
    assert kept() == {f"{given[2]}.arrow"}


def test_what_was_changed_here_is_fetched_again(put, asked, memory):
    given, data = put(memory)
    path = fetched.fetched(*given)
    with path.open("r+b") as file:
        file.seek(500)
        file.write(bytes([data[500] ^ 1]))
    assert fetched.fetched(*given).read_bytes() == data
    path.write_bytes(data[:-1])
    assert fetched.fetched(*given).read_bytes() == data
    assert len(asked) == 3


def test_two_that_want_the_same_file_at_once_fetch_it_once(put, asked, memory, monkeypatch):
    given, data = put(memory)
    go, honest, found = threading.Event(), fetched.get, []

    def slow(*args):
        go.wait(60)
        return honest(*args)

    monkeypatch.setattr(fetched, "get", slow)
    readers = [threading.Thread(target=lambda: found.append(fetched.fetched(*given))) for _ in range(4)]
    for reader in readers:
        reader.start()
    wait_until(lambda: list(fetched.FETCHED.glob("*.part")))
    go.set()
    for reader in readers:
        reader.join(60)
    assert len(asked) == 1
    assert {path.read_bytes() for path in found} == {data}
    assert len(found) == 4
    assert kept() == {f"{given[2]}.arrow"}


def test_what_a_killed_reader_left_is_taken_up_or_counts_as_the_oldest(put, memory, monkeypatch):
    first, data = put(memory)
    other, _ = put(memory)
    fetched.FETCHED.mkdir(parents=True)
    for of in (first, other):
        (fetched.FETCHED / f"{of[2]}.arrow.part").write_bytes(b"x" * 10_000)
    assert fetched.fetched(*first).read_bytes() == data
    assert kept() == {f"{first[2]}.arrow", f"{other[2]}.arrow.part"}, "there is room for it"
    monkeypatch.setenv("DRILLCORE_FETCHED_GB", "5e-6")
    third, _ = put(memory)
    fetched.fetched(*third)
    assert kept() == {f"{first[2]}.arrow", f"{third[2]}.arrow"}


def test_what_is_just_being_fetched_stays(put, memory, monkeypatch):
    monkeypatch.setenv("DRILLCORE_FETCHED_GB", "0")
    part = fetched.FETCHED / "other.arrow.part"
    given, data = put(memory)
    with locks.take(part, fcntl.LOCK_EX):
        part.write_bytes(b"x" * 10_000)
        assert fetched.fetched(*given).read_bytes() == data
        assert kept() == {f"{given[2]}.arrow", "other.arrow.part"}
    fetched.fetched(*put(memory)[0])
    assert len(kept()) == 1


def test_what_was_used_last_stays(put, memory, monkeypatch):
    files = [put(memory)[0] for _ in range(4)]
    for given in files[:3]:
        fetched.fetched(*given)
    fetched.fetched(*files[0])
    monkeypatch.setenv("DRILLCORE_FETCHED_GB", "3.5e-6")
    fetched.fetched(*files[3])
    assert kept() == {f"{files[number][2]}.arrow" for number in (0, 2, 3)}


@pytest.mark.parametrize("limit", ["many", "-1", "nan", "1GB"])
def test_a_limit_that_is_none_is_said_before_anything_is_fetched(put, asked, memory, monkeypatch, limit):
    monkeypatch.setenv("DRILLCORE_FETCHED_GB", limit)
    with pytest.raises(InputError, match=f"DRILLCORE_FETCHED_GB is '{limit}', expected a number of GB, 0 or more"):
        fetched.fetched(*put(memory)[0])
    assert asked == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_line_and_nothing_is_left(put, memory, monkeypatch, number):
    def full(fs, path, target, size):
        target.write_bytes(b"x")
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fetched, "get", full)
    with pytest.raises(InputError, match=r"the disk of \.drillcore/fetched is full: .*DRILLCORE_FETCHED_GB"):
        fetched.fetched(*put(memory)[0])
    assert kept() == set()


def test_a_server_that_fails_with_three_of_ten_requests_and_cuts_what_is_read_changes_nothing(
    put, failing, monkeypatch
):
    """Each part is asked for again."""
    app, url = failing
    monkeypatch.setattr(remote, "PART", 10_000)
    given, data = put(url, 100_000)
    app.share = 0.3
    for _ in range(100):
        assert fetched.fetched(*given).read_bytes() == data
        fetched.fetched(*given).unlink()
        if app.failed["half"] > 3 and app.failed["cut"] and app.failed["500"] and app.failed["503"]:
            return
    raise AssertionError(app.failed)
