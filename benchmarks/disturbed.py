"""A small study in a clone of its own, which kills.py and together.py disturb: its files, its commands, its remains."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import yaml

from benchmarks.common import ROOT, git, workspace
from benchmarks.pipeline import environment_of

SIZES = {"model_type": "rwkv6", "vocab_size": 256, "hidden_size": 64, "num_hidden_layers": 2, "head_size": 16}
CHANGES = {
    "models": ["tiny"],
    "baselines": ["overlap"],
    "prepare": {"limit": 10},
    "dump": {"gate_tokens": 100, "shard_mb": 1},
    "correlate": {"resamples": 100},
    "fit": {"epochs": 2, "runs": 2, "controls": True, "poolings": ["attention"]},
    "sweep": {"poolings": ["mean", "attention"], "corrections": ["none"], "similarities": ["cosine"], "controls": True},
}
MADE = ("data/code", *(line[1:] for line in (ROOT / ".gitignore").read_text().splitlines() if line.startswith("/data")))
NOT_MADE = ("data/demo",)
OURS, CACHE = ("data", "results", ".drillcore"), ".dvc/cache/files/md5"


def wait_until(condition, seconds=300):
    """Look often until a function says something true -> that; the program ends where it never does."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s: {condition}")
        time.sleep(0.005)
    return found


def descendants(pid):
    """{pid: command line} of what a process has started, directly or not."""
    found = {}
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for child in children:
            found[int(child)] = Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ")
            found |= descendants(child)
    except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
        pass
    return found


class Command:
    """A command that runs in a process group of its own and writes to a log."""

    def __init__(self, words, folder, environment, log):
        self.log, self.start = log, time.monotonic()
        with log.open("w") as file:
            self.process = subprocess.Popen(
                words, cwd=folder, env=environment, stdout=file, stderr=file, start_new_session=True
            )

    @property
    def text(self):
        return self.log.read_text(errors="replace")

    @property
    def over(self):
        return self.process.poll() is not None

    def says(self, words):
        """Wait until the log has some words, or the command is over -> whether it has."""
        wait_until(lambda: words in self.text or self.over)
        return words in self.text

    def stage(self):
        """(pid, name) of the stage that runs at this moment, or None."""
        for pid, line in descendants(self.process.pid).items():
            if found := re.search(r"python\S* -m stages\.(\w+)", line):
                return pid, found[1]
        return None

    def alone(self):
        """Whether nothing of the group is left."""
        self.process.poll()  # else a dead leader stays
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return True
        return False

    def status(self, seconds=300):
        """Wait for the command -> its exit status."""
        return self.process.wait(seconds)


class Study:
    """A clone of what is committed here, with a tiny model and quick settings."""

    def __init__(self, folder):
        self.folder, self.logs = folder / "clone", folder / "logs"
        self.logs.mkdir()
        git(ROOT, "clone", "--quiet", str(ROOT), str(self.folder))
        self.environment = environment_of(folder) | {"DRILLCORE_THREADS": "1", "OMP_NUM_THREADS": "1"}
        for key, value in (("user.name", "t"), ("user.email", "t@t")):
            git(self.folder, "config", key, value)
        params, catalog = (yaml.safe_load((self.folder / name).read_text()) for name in ("params.yaml", "catalog.yaml"))
        for key, value in CHANGES.items():
            params[key] = params[key] | value if isinstance(value, dict) else value
        catalog["models"]["tiny"] = {"random": 0, "config": SIZES, "tokenizer": "bytes"}
        for name, values in (("params.yaml", params), ("catalog.yaml", catalog)):
            (self.folder / name).write_text(yaml.safe_dump(values, sort_keys=False))
        (self.folder / "dvc.lock").unlink(missing_ok=True)
        self.commit("study")

    def commit(self, message):
        git(self.folder, "add", "-A")
        git(self.folder, "commit", "-qm", message)

    def start(self, *words, log="log"):
        """Begin a command in the clone -> Command."""
        return Command(words, self.folder, self.environment, self.logs / f"{log}.txt")

    def undisturbed(self):
        """Run everything for the first time and commit dvc.lock -> `files`."""
        first = self.start("dvc", "repro")
        assert first.status() == 0, first.text
        self.commit("results")
        return self.files()

    def lock(self):
        """{stage: what dvc.lock says of it}"""
        return yaml.safe_load((self.folder / "dvc.lock").read_text())["stages"]

    def remove(self, *paths):
        for path in (self.folder / name for name in paths):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def forget_all(self):
        """Nothing was ever run."""
        made = [name for name in MADE if not name.startswith(NOT_MADE)]
        self.remove(*made, "results", "dvc.lock", ".dvc/cache", ".drillcore")

    def forget(self, stage):
        """A stage was never run; the others were."""
        lock = self.lock()
        self.remove(*(out["path"] for out in lock.pop(stage)["outs"]), ".dvc/cache/runs", ".drillcore/verified")
        if stage.startswith("dump"):
            self.remove(".drillcore/dumps")
        (self.folder / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": lock}, sort_keys=False))

    def files(self):
        """{path: sha256} of everything in data/ and results/, and what dvc.lock says of it."""
        paths = [path for top in ("data", "results") for path in (self.folder / top).rglob("*") if path.is_file()]
        hashes = {self.named(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
        return hashes | {f"dvc.lock: {name}": json.dumps(said, sort_keys=True) for name, said in self.lock().items()}

    def faults(self, undisturbed):
        """What is wrong after a run that should have set everything right, as (kind, paths)."""
        files, objects = self.files(), [path for path in (self.folder / CACHE).rglob("*") if path.is_file()]
        md5 = {path: hashlib.md5(path.read_bytes()).hexdigest() for path in objects}
        found = {
            "different": [path for path in undisturbed | files if undisturbed.get(path) != files.get(path)],
            "left": [self.named(path) for top in OURS for path in (self.folder / top).rglob("*.part")],
            "cache": [self.named(p) for p in objects if md5[p] != (p.parent.name + p.name).removesuffix(".dir")],
        }
        return [(kind, ", ".join(sorted(paths))) for kind, paths in found.items() if paths]

    def named(self, path):
        return str(path.relative_to(self.folder))

    def rwlock_names(self, pid):
        """Whether DVC's rwlock names a process."""
        path = self.folder / ".dvc/tmp/rwlock"
        return path.exists() and f'"pid": {pid},' in path.read_text()


@contextmanager
def study():
    """A Study in a temporary folder on the disk of the project."""
    # a shell lets its background programs ignore SIGINT, and what they start would ignore it too
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with workspace() as name:
        yield Study(Path(name))


def tracebacks(text):
    """Tracebacks in a log -> (those of our code, those of DVC, and of Python before it has read a line of ours)."""
    blocks = re.findall(r"^.*Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)*.*$", text, re.MULTILINE)
    others = [block for block in blocks if re.search(r"/dvc/|bin/dvc|<frozen site>", block)]
    return [block for block in blocks if block not in others], others
