import errno
import os

import pytest

from pipeline.base.errors import InputError
from pipeline.storage import space


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_explained(tmp_path, number):
    message = r"the disk of .* is full: the shards that were finished are kept .*dump\.keep: pooled"
    with pytest.raises(InputError, match=message), space.full_disk_explained(tmp_path):
        raise OSError(number, os.strerror(number))


def test_another_error_of_the_system_is_not_called_a_full_disk(tmp_path):
    with pytest.raises(OSError, match="input/output error"), space.full_disk_explained(tmp_path):
        raise OSError(errno.EIO, "input/output error")


def test_the_nearest_folder_that_exists(tmp_path):
    assert space.writable(tmp_path) == tmp_path
    assert space.writable(tmp_path / "a/b/c") == tmp_path


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_a_file_in_place_of_a_folder_is_refused(tmp_path, out):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be a folder: .*file is a file"):
        space.writable(tmp_path / out)


def test_a_folder_that_may_not_be_written_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(space.os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(InputError, match=rf"out cannot be written: {tmp_path} does not allow it"):
        space.writable(tmp_path / "out")


@pytest.fixture
def free(monkeypatch):
    """A function: let every disk have so many bytes free."""

    def have(count):
        monkeypatch.setattr(space.shutil, "disk_usage", lambda path: type("Usage", (), {"free": count}))

    return have


def test_five_percent_more_than_is_needed_must_be_free(tmp_path, free):
    free(1_050_000)
    space.check_space(tmp_path, 1_000_000, tmp_path / "out", 10**12)
    free(1_049_999)
    message = r"the dump needs 0\.00 GB more, with 5 % to spare, .* \(dump\.layers.*dump\.keep: pooled"
    with pytest.raises(InputError, match=message):
        space.check_space(tmp_path, 1_000_000, tmp_path / "out", 10**12)


def test_another_disk_needs_room_for_all(tmp_path, free, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    honest = space.Path.stat

    def stat(path, **options):
        status = honest(path, **options)
        return os.stat_result([*status[:2], 99, *status[3:]]) if path == other else status

    monkeypatch.setattr(space.Path, "stat", stat)
    free(2_000_000)
    space.check_space(tmp_path, 0, other, 1_000_000)
    with pytest.raises(InputError, match=r"other lies on another disk than .* it has not the 0\.00 GB for them"):
        space.check_space(tmp_path, 0, other, 2_000_000)
    space.check_space(tmp_path, 0, tmp_path / "same", 2_000_000)
