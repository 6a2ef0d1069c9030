"""A dump of a small network that workers can be sent, and drivers of it in processes of their own."""

import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel

from pipeline.dump import run
from pipeline.dump.network import Network
from pipeline.dump.publish import Places
from pipeline.dump.work import sizes_of, work_of
from pipeline.engine.engines import engine_of
from pipeline.models.rwkv6 import Rwkv6ForCausalLM
from pipeline.models.rwkv6_config import Rwkv6Config
from pipeline.readouts.plain import PLAIN
from tests.dump.conftest import SETTINGS
from tests.helpers import ROOT

SENTENCES = 3000


@dataclass(frozen=True)
class Tiny:
    """A network of two blocks that waits before each pass."""

    pause: float

    def __call__(self) -> Rwkv6ForCausalLM:
        """The network."""
        torch.set_num_threads(1)
        torch.manual_seed(0)
        model = Rwkv6ForCausalLM(Rwkv6Config(vocab_size=64, hidden_size=64, num_hidden_layers=2, head_size=8)).eval()
        model.base_model.register_forward_pre_hook(lambda *_: time.sleep(self.pause))
        return model


@dataclass(frozen=True)
class Noted(Network):
    """A network that notes in a file which process has loaded it."""

    notes: str = "loads"

    def load(self) -> PreTrainedModel:
        """The same."""
        with Path(self.notes).open("a") as file:
            file.write(f"{os.getpid()}\n")
        return super().load()


def process_and_sizes(network):
    """The process that this runs in, and the sizes of a network there."""
    return os.getpid(), sizes_of(network(), PLAIN)


def dump(seed, engine, out, pause=0.0, store="store"):
    """Dump sentences that the seed draws, on an engine, from a store to the folder `out`."""
    rng = np.random.default_rng(seed)
    ids = [rng.integers(0, 64, rng.integers(1, 40)).astype(np.int32) for _ in range(SENTENCES)]
    work = work_of(sizes_of(Tiny(0.0)(), PLAIN), ids, np.arange(SENTENCES), SETTINGS, PLAIN)
    places = Places(Path(out), "key", store=store)
    return run.fill(run.Shards(Tiny(pause), work, places.built), places, engine=engine_of(engine))


def started(folder, *arguments):
    """`dump` with these arguments, in a process of its own."""
    from pipeline.engine import workers

    workers.dismiss(actor for idle in workers.IDLE.values() for actor in idle)  # they hold the cores that it wants
    workers.IDLE.clear()
    program = f"from tests.engine.dumped import dump; dump(*{arguments!r})"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", program], cwd=folder, env=environment, stderr=subprocess.PIPE, text=True
    )


def finished(folder="store/key"):
    """{name: (inode, time)} of the shards that are finished."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in Path(folder).glob("*.arrow")}


def workers_at_it(folder="store/key"):
    """The workers that have claimed a shard at this moment."""
    found = set()
    for claim in Path(folder).glob("*.claim"):
        with suppress(FileNotFoundError):  # given back meanwhile
            found.add(claim.read_text())
    return found - {""}
