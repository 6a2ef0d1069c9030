import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from pipeline.dump.publish import Places
from pipeline.dump.run import dump as dumped
from pipeline.dump.settings import Dump
from pipeline.models.rwkv6 import Rwkv6ForCausalLM
from pipeline.models.rwkv6_config import Rwkv6Config
from pipeline.readouts.registry import readout_of
from tests.dump.workers import shards_of
from tests.helpers import ROOT

SETTINGS = Dump(
    dtype="float32",
    store="float16",
    layers="all",
    readout="plain",
    keep="tokens",
    batch_tokens=64,
    shard_mb=1,
    gate_tokens=0,
)

PROGRAM = f"""
import json, os, random, signal, sys, threading, time
from pathlib import Path
import numpy as np, torch, tqdm
from pipeline.base import cli
from pipeline.dump import run
from pipeline.dump.ranks import Rank
from pipeline.dump.settings import Dump
from pipeline.dump.work import sizes_of, work_of
from pipeline.models.rwkv6 import Rwkv6ForCausalLM
from pipeline.models.rwkv6_config import Rwkv6Config
from pipeline.readouts import plain

tqdm.tqdm.set_lock(threading.RLock())  # its own lock is shared by forks, so one that is killed would keep it
torch.set_num_threads(1)
torch.manual_seed(0)
model = Rwkv6ForCausalLM(Rwkv6Config(vocab_size=64, hidden_size=32, num_hidden_layers=2, head_size=8)).eval()
rng = np.random.default_rng(0)
ids = [rng.integers(0, 64, rng.integers(1, 40)).astype(np.int32) for _ in range(1500)]
settings = {SETTINGS!r}
honest = plain.hidden_layers

def dump(out, store, pause=0.0, rank=0, world=1):
    # which shards were made here, and that they were published, goes to standard output
    plain.hidden_layers = lambda *args: time.sleep(pause) or honest(*args)
    work = work_of(sizes_of(model, plain.PLAIN), ids, np.arange(len(ids)), settings, plain.PLAIN)
    manifest = Path(out + ".json")

    def finish(facts):
        print("published", flush=True)
        manifest.write_text(json.dumps(facts | {{"key": "key"}}))

    class Maker(run.Maker):
        def make(self, number, claim):
            print("made", number, flush=True)
            return super().make(number, claim)

    start_maker, run.Maker = run.Maker, Maker
    places = run.Places(Path(out), "key", manifest, store=store, finish=finish)
    try:
        return run.fill(run.Shards(lambda: model, work, places.built), places, Rank(rank, world))
    finally:
        run.Maker = start_maker
"""


@pytest.fixture(autouse=True)
def seeded(seed):
    """Torch draws from the fresh seed that is shown when a test fails."""
    torch.manual_seed(seed)


@pytest.fixture
def settings():
    """Small shards of small batches: some hundred sentences fill several."""
    return SETTINGS


@pytest.fixture
def model(seeded):
    return Rwkv6ForCausalLM(Rwkv6Config(vocab_size=64, hidden_size=32, num_hidden_layers=2, head_size=8)).eval()


@pytest.fixture
def sentences(rng):
    """A function: token ids of n sentences of 1 to 39 tokens, and their sentence ids, which are no row numbers."""

    def draw(n):
        return [rng.integers(0, 64, rng.integers(1, 40)).astype(np.int32) for _ in range(n)], rng.permutation(n) + 1000

    return draw


@pytest.fixture
def dump(tmp_path, settings):
    """A function: dump sentences into a folder below tmp_path -> the facts; other settings by name."""

    def dump_sentences(model, given, key="key", out="out", scratch="scratch", manifest=None, spans=None, **changes):
        store = scratch if "://" in str(scratch) else tmp_path / scratch
        places = Places(tmp_path / out, key, manifest, store)
        changed = replace(settings, **changes)
        return dumped(model, *given, changed, places, spans, readout_of(changed.keep, changed.readout))

    return dump_sentences


@pytest.fixture(scope="session")
def program_in():
    """A function: start a process in a folder that has `dump(out, store, pause)` and runs some lines."""

    def start(folder, lines, **options):
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", PROGRAM + lines]
        return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True, **options)

    return start


@pytest.fixture
def program(program_in, tmp_path):
    """The same, in tmp_path."""
    return partial(program_in, tmp_path)


WORKERS = """
def worker(name, store="store", **options):
    Path(name).touch()
    child = os.fork()
    if not child:
        log = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1), os.dup2(log, 2)
        dump("out", store, **options)
        os._exit(0)
    return child

def end(child):
    status = os.waitpid(child, 0)[1]
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

def wait_until(condition):
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    raise TimeoutError
"""


SERVER = """
for request in sys.stdin:
    folder, lines = json.loads(request)
    os.chdir(folder)
    exec(lines, globals())
    print("over", flush=True)
"""


@pytest.fixture(scope="session")
def server(program_in, tmp_path_factory):
    """A process that runs lines, so that torch is imported once."""
    folder = tmp_path_factory.mktemp("server")
    process = program_in(folder, WORKERS + SERVER, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    yield process
    process.stdin.close()
    process.stdout.close()
    process.stderr.close()
    process.wait(30)


@pytest.fixture(scope="session")
def run_in(server):
    """A function: run lines in a folder, in a process that forks workers -> what they wrote to standard output."""

    def run_lines(folder, lines):
        server.stdin.write(json.dumps([str(folder), lines]) + "\n")
        server.stdin.flush()
        out = []
        for line in server.stdout:
            if line == "over\n":
                return "".join(out)
            out.append(line)
        raise AssertionError(server.stderr.read())

    return run_lines


@pytest.fixture
def run(run_in, tmp_path):
    """The same, in tmp_path."""
    return partial(run_in, tmp_path)


@pytest.fixture(scope="session")
def alone(run_in, tmp_path_factory):
    """(shards, manifest) of a single worker that nothing disturbed."""
    folder = tmp_path_factory.mktemp("alone")
    assert "published" in run_in(folder, "dump('out', 'store')")
    return shards_of(folder / "out"), json.loads((folder / "out.json").read_text())
