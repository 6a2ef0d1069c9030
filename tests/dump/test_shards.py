"""A shard in a folder has its name only when it is what was written, and keeps it only while it is."""

import errno
import hashlib
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from pipeline.dump.shards import Shard
from pipeline.formats import states
from pipeline.storage import folder
from pipeline.storage.folder import Folder, finished

SCHEMA = states.schema([0, 1], 4, "float16")


def small_shard(path, ids=(3, 3, 5)):
    """A finished shard -> its receipt."""
    columns = [np.array(ids), np.arange(len(ids), dtype=np.int32), *[np.ones((len(ids), 4), np.float16)] * 2]
    shard = Shard(Folder(path.parent).claim(path.name), SCHEMA)
    shard.write(states.record_batch(columns, SCHEMA))
    return shard.finish()


def test_a_receipt_is_json_beside_the_shard_and_true(tmp_path):
    path = tmp_path / "shard-00000.arrow"
    receipt = small_shard(path)
    data = path.read_bytes()
    assert receipt == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    assert json.loads(path.with_suffix(".json").read_text()) == receipt == finished(path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["shard-00000.arrow", "shard-00000.json"]


def test_a_shard_has_no_name_before_it_is_finished(tmp_path):
    shard = Shard(Folder(tmp_path).claim("a.arrow"), SCHEMA)
    names = {file.name for file in tmp_path.iterdir()} - {"a.arrow.claim"}
    assert len(names) == 1
    assert re.fullmatch(r"a\.arrow\.[0-9a-f]{8}\.part", names.pop())
    shard.abandon()
    assert list(tmp_path.iterdir()) == []
    assert finished(tmp_path / "a.arrow") is None


def test_what_an_earlier_run_left_half_written_is_taken_away(tmp_path):
    (tmp_path / "a.arrow.01234567.part").write_bytes(b"x" * 10**6)
    assert small_shard(tmp_path / "a.arrow")["bytes"] == (tmp_path / "a.arrow").stat().st_size < 10**6
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("failing", ["fsync", "write_text", "rename"])
def test_what_fails_at_the_end_leaves_no_shard(tmp_path, monkeypatch, failing):
    def fail(*args, **kwargs):
        raise OSError(errno.EIO, "input/output error")

    owner = {"fsync": os, "write_text": folder, "rename": folder.Path}[failing]
    with monkeypatch.context() as patch:
        patch.setattr(owner, failing, fail)
        with pytest.raises(OSError, match="input/output error"):
            small_shard(tmp_path / "a.arrow")
    assert not list(tmp_path.glob("*.arrow*"))  # no claim either
    assert small_shard(tmp_path / "a.arrow") == finished(tmp_path / "a.arrow")


DAMAGES = {
    "truncated": "of .* bytes",
    "flipped": "another sha256",
    "foreign": "another sha256",
    "without a receipt": "no receipt of its own",
    "with a broken receipt": "no receipt of its own",
    "with a receipt of nothing": "no receipt of its own",
    "with another thing as receipt": "no receipt of its own",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_shard_is_named_and_taken_away(tmp_path, damage, capsys):
    path = tmp_path / "shard-00000.arrow"
    small_shard(path)
    intact = path.read_bytes()
    receipts = {"with a broken receipt": "{", "with a receipt of nothing": "{}", "with another thing as receipt": "[1]"}
    for spot in (0, 1, 100, len(intact) // 2, len(intact) - 1):
        if damage == "truncated":
            path.write_bytes(intact[:spot])
        elif damage == "flipped":
            path.write_bytes(intact[:spot] + bytes([intact[spot] ^ 1]) + intact[spot + 1 :])
        elif damage == "foreign":
            other = tmp_path / "other/shard-00000.arrow"
            other.parent.mkdir(exist_ok=True)
            small_shard(other, ids=(3, 4, 5))
            other.rename(path)
        elif damage == "without a receipt":
            path.with_suffix(".json").unlink()
        else:
            path.with_suffix(".json").write_text(receipts[damage])
        assert finished(path) is None
        said = capsys.readouterr().err
        assert str(path) in said
        assert said.endswith("it is made again\n")
        assert re.search(DAMAGES[damage], said)
        assert not path.exists()
        assert finished(path) is None
        assert capsys.readouterr().err == ""
        small_shard(path)
        assert path.read_bytes() == intact


def test_a_damaged_shard_is_taken_out_of_dvcs_cache_and_others_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [Path(f"{number}.arrow") for number in range(2)]
    cached = [folder.CACHE / f"files/md5/0{number}/abc" for number in range(2)]
    for name, link in zip(names, cached):
        small_shard(name)
        link.parent.mkdir(parents=True)
        os.link(name, link)
        link.chmod(0o444)
    data = bytearray(names[0].read_bytes())
    data[-40] ^= 1
    names[0].chmod(0o644)
    names[0].write_bytes(data)
    assert [finished(name) is None for name in names] == [True, False]
    assert [link.exists() for link in cached] == [False, True]
