"""Crash safety of the dump: kills, signals, full disks, locks, and the scratch store's own command."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline import cli, dumping, scratch
from pipeline.dumping import Dump
from pipeline.rwkv6 import Rwkv6Config, Rwkv6ForCausalLM

ROOT = Path(__file__).parents[1]
SETTINGS = Dump(dtype="float32", store="float16", layers="all", keep="tokens", batch_tokens=64, shard_mb=1, gate_tokens=0)
PROGRAM = """
import os, random, signal, sys, threading, time
import numpy as np, torch, tqdm
from pipeline import cli, dumping
from pipeline.rwkv6 import Rwkv6Config, Rwkv6ForCausalLM

tqdm.tqdm.set_lock(threading.RLock())  # its own lock is shared by forks, so one that is killed would keep it
torch.set_num_threads(1)
torch.manual_seed(0)
model = Rwkv6ForCausalLM(Rwkv6Config(vocab_size=64, hidden_size=32, num_hidden_layers=2, head_size=8)).eval()
rng = np.random.default_rng(0)
ids = [rng.integers(0, 64, rng.integers(1, 40)).astype(np.int32) for _ in range(1500)]
settings = dumping.Dump(dtype="float32", store="float16", layers="all", keep="tokens", batch_tokens=64, shard_mb=1, gate_tokens=0)
honest = dumping.hidden_layers

def dump(out, store, pause=0.0):
    dumping.hidden_layers = lambda *args: time.sleep(pause) or honest(*args)
    return dumping.dump(model, ids, np.arange(len(ids)), "key", out, settings, store=store)
"""


def program(tail, folder, **kwargs):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", PROGRAM + tail], cwd=folder, env=environment, stderr=subprocess.PIPE, text=True, **kwargs)


def shards_of(folder):
    return {path.name: path.read_bytes() for path in sorted(Path(folder).glob("*.arrow"))}


def test_twenty_kills_at_random_moments_lose_nothing_and_change_nothing(tmp_path):
    """A fork of one process dumps and is killed, again and again, at moments from the first to the last byte of it; at the end the
    shards are those of a calm run, and each was made once: a finished one keeps its time of writing."""
    seed = int.from_bytes(os.urandom(4), "little")
    tail = f"""
random.seed({seed})
dump("calm", "elsewhere")
made, kills = {{}}, 0
def look():
    for name in os.listdir("store/key") if os.path.isdir("store/key") else []:
        if name.endswith(".arrow"):
            made.setdefault(name, set()).add(os.stat(f"store/key/{{name}}").st_mtime_ns)
while kills < 20:
    child = os.fork()
    if not child:
        dump("out", "store", pause=0.002)
        os._exit(0)
    time.sleep(random.uniform(0.005, 0.09))
    look()
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    look()
    if not os.WIFSIGNALED(status):
        break
    kills += 1
dump("out", "store")
look()
print(kills, max(len(times) for times in made.values()))
"""
    process = program(tail, tmp_path, stdout=subprocess.PIPE)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    kills, times = map(int, out.split())
    assert kills == 20, f"seed {seed}: the dump was over after {kills} kills"
    assert times == 1, f"seed {seed}: a finished shard was made twice"
    assert len(shards_of(tmp_path / "calm")) >= 4
    assert shards_of(tmp_path / "out") == shards_of(tmp_path / "calm"), f"seed {seed}"


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_it_after_the_shard_at_hand_and_it_goes_on(tmp_path, name):
    tail = "\ncli.typer.Typer.__call__ = lambda app: dump('out', 'store', pause=0.02)\ncli.run(lambda: None)\n"
    process = program(tail, tmp_path)
    while not list(tmp_path.glob("store/key/*.part")):
        time.sleep(0.01)
        assert process.poll() is None
    process.send_signal(getattr(signal, name))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"{name}: stopping after the shard at hand" in err
    stopped = re.search(rf"stopped by {name} after shard (\d+) of (\d+), which store/key keeps: run again to go on", err)
    assert stopped
    assert len(list(tmp_path.glob("store/key/*.arrow"))) == int(stopped[1]) < int(stopped[2])
    assert not list(tmp_path.rglob("*.part"))
    assert not (tmp_path / "out").exists()
    again = program("\ndump('out', 'store')\ndump('calm', 'elsewhere')\n", tmp_path)
    _, err = again.communicate(timeout=60)
    assert again.returncode == 0, err
    assert f"{stopped[1]} of them finished before" in err
    assert shards_of(tmp_path / "out") == shards_of(tmp_path / "calm")


def test_a_second_signal_ends_it_at_once(tmp_path):
    process = program("\ndump('out', 'store', pause=0.5)\n", tmp_path)
    while not list(tmp_path.glob("store/key/*.part")):
        time.sleep(0.01)
        assert process.poll() is None
    for _ in range(2):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
    assert process.wait(timeout=10) == -signal.SIGTERM
    process.stderr.close()
    assert not list(tmp_path.glob("store/key/*.arrow"))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Rwkv6ForCausalLM(Rwkv6Config(vocab_size=64, hidden_size=32, num_hidden_layers=2, head_size=8)).eval()


def sentences(n):
    rng = np.random.default_rng()
    return [rng.integers(0, 64, rng.integers(1, 40)).astype(np.int32) for _ in range(n)], np.arange(n)


def run(model, given, folder, settings=SETTINGS, out="out"):
    return dumping.dump(model, *given, "key", folder / out, settings, store=folder / "store")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_and_leaves_what_was_finished(model, tmp_path, monkeypatch, number):
    given = sentences(900)
    honest, written = scratch.Hashing.write, [0]

    def write(self, data):
        written[0] += len(memoryview(data).cast("B"))
        if written[0] > 1.5e6:
            raise OSError(number, os.strerror(number))
        honest(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(scratch.Hashing, "write", write)
        with pytest.raises(ValueError, match=r"the disk of .*store/key is full: the shards that were finished are kept .*dump\.keep: pooled"):
            run(model, given, tmp_path)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "store/key").glob("*.arrow")}
    assert len(kept) == 1
    assert not list(tmp_path.rglob("*.part"))
    facts = run(model, given, tmp_path)
    assert len(facts["shards"]) >= 3
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())


def test_a_failed_flush_of_a_finished_shard_leaves_no_part(model, tmp_path, monkeypatch):
    """The second shard's flush fails while the third is being computed."""
    honest, calls = os.fsync, []

    def fsync(number):
        calls.append(number)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "no space left")
        honest(number)

    monkeypatch.setattr(scratch.os, "fsync", fsync)
    with pytest.raises(ValueError, match="is full"):
        run(model, sentences(900), tmp_path)
    assert len(list((tmp_path / "store/key").glob("*.arrow"))) == 1
    assert not list(tmp_path.rglob("*.part"))


def test_an_earlier_manifest_is_gone_before_its_shards_are(model, tmp_path, monkeypatch):
    manifest = tmp_path / "manifest.json"
    manifest.write_text("{}")
    seen = []
    monkeypatch.setattr(scratch, "publish", lambda *args: seen.append(manifest.exists()))
    dumping.dump(model, *sentences(20), "key", tmp_path / "out", SETTINGS, store=tmp_path / "store", manifest=manifest)
    assert seen == [False]


def test_another_disk_is_copied_to_and_needs_room_for_all(model, tmp_path, monkeypatch):
    monkeypatch.setattr(scratch.os, "link", lambda *args: (_ for _ in ()).throw(OSError(errno.EXDEV, "cross-device link")))
    facts = run(model, sentences(60), tmp_path)
    assert (tmp_path / "out/shard-00000.arrow").stat().st_nlink == 1
    assert (tmp_path / "out/shard-00000.arrow").stat().st_size == facts["shards"][0]["bytes"]
    monkeypatch.setattr(scratch.os, "link", lambda *args: (_ for _ in ()).throw(OSError(errno.EACCES, "not allowed")))
    with pytest.raises(OSError, match="not allowed"):
        run(model, sentences(60), tmp_path / "other")


def test_another_error_of_the_system_is_not_called_a_full_disk(model, tmp_path, monkeypatch):
    def write(self, data):
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(scratch.Hashing, "write", write)
    with pytest.raises(OSError, match="input/output error"):
        run(model, sentences(20), tmp_path)


def test_too_little_disk_is_refused_before_anything_is_written(model, tmp_path, monkeypatch, capsys):
    given = sentences(900)
    tokens = sum(map(len, given[0]))
    size = tokens * (3 * 32 * 2 + 12)
    usage = type("Usage", (), {"free": int(1.05 * size) - 10})
    monkeypatch.setattr(scratch.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ValueError, match=r"the dump needs 0\.00 GB more, with 5 % to spare, .* keep fewer layers \(dump\.layers.*dump\.keep: pooled"):
        run(model, given, tmp_path)
    assert f"{tokens:,} tokens x 3 layers x 32: {size / 1e6:.1f} MB" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.arrow*"))
    usage.free += 20
    facts = run(model, given, tmp_path)
    assert sum(shard["bytes"] for shard in facts["shards"]) == pytest.approx(size, rel=0.02)  # what was announced is what was written
    usage.free = 0
    assert run(model, given, tmp_path) == facts, "a finished dump needs no more space"


def test_a_second_dump_of_the_same_key_is_refused_while_the_first_runs(model, tmp_path):
    given = sentences(30)
    with scratch.locked(tmp_path / "store/key"), pytest.raises(ValueError, match=rf"process {os.getpid()} is writing or clearing this very dump"):
        run(model, given, tmp_path)
    assert not (tmp_path / "out").exists()
    run(model, given, tmp_path)  # the lock went with its holder


def test_the_record_of_the_manifest_is_that_of_the_files(model, tmp_path):
    import hashlib

    for entry in run(model, sentences(900), tmp_path)["shards"]:
        data = (tmp_path / "out" / entry["name"]).read_bytes()
        assert (entry["bytes"], entry["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())


def test_the_command_shows_and_clears_the_store(model, tmp_path, monkeypatch):
    given = sentences(900)
    facts = run(model, given, tmp_path)
    run(model, given, tmp_path, replace(SETTINGS, layers=[0]), out="fewer")
    dumping.dump(model, *given, "other", tmp_path / "copy", SETTINGS, store=tmp_path / "store")
    for path in (tmp_path / "copy").iterdir():
        path.unlink()
    rows = {row["key"]: row for row in scratch.contents(tmp_path / "store")}
    size = sum(shard["bytes"] for shard in facts["shards"])
    assert (rows["other"]["bytes"], rows["other"]["shared"], rows["other"]["shards"]) == (size, 0, len(facts["shards"]))
    (tmp_path / ".drillcore").mkdir()
    (tmp_path / "store").rename(tmp_path / ".drillcore/dumps")

    def clean(*args):
        return subprocess.run(
            [sys.executable, "-m", "stages.clean", *args], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
        )

    assert f"2 dumps, {sum(row['bytes'] for row in rows.values()) / 1e6:.1f} MB" in clean().stdout
    assert "has no nothing: it has " in clean("--remove", "nothing").stderr
    assert "removed other" in clean("--remove", "other").stdout
    assert [p.name for p in (tmp_path / ".drillcore/dumps").iterdir()] == ["key"]
    with scratch.locked(tmp_path / ".drillcore/dumps/key"):
        assert f"process {os.getpid()} is writing" in clean("--all").stderr
    assert "removed key" in clean("--all").stdout
    assert list((tmp_path / ".drillcore/dumps").iterdir()) == []
    assert shards_of(tmp_path / "fewer"), "what was published stays"


def test_a_wish_to_stop_is_no_error_of_the_input(capsys, monkeypatch):
    def main():
        raise InterruptedError("stopped by SIGTERM after shard 1 of 2")

    monkeypatch.setattr(sys, "argv", ["stage"])
    with pytest.raises(SystemExit) as ended:
        cli.run(main)
    assert ended.value.code == 130
    assert capsys.readouterr().err == "stopped by SIGTERM after shard 1 of 2\n"


def test_records_are_json_beside_the_shard(model, tmp_path):
    run(model, sentences(30), tmp_path)
    assert set(json.loads((tmp_path / "store/key/shard-00000.json").read_text())) == {"bytes", "sha256"}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["shard-00000.arrow"]
