"""The pipeline for one data set after another: `dataset` in params.yaml is changed, DVC runs, and it is put back.

`dvc exp run -S dataset=NAME` does the same for one. DVC's cache keeps what each has made, so the next one throws
nothing away and a second time costs seconds.
"""

import fcntl
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import yaml

from pipeline.base.errors import InputError
from pipeline.base.files import write_json, write_text
from pipeline.base.settings import read_yaml, study

PARAMS, NOTE, LOCK = Path("params.yaml"), Path(".drillcore/dataset.json"), Path(".drillcore/datasets.lock")
LINE = re.compile(r"""^dataset:[ \t]*('([^'\n]|'')*'|"[^"\n]*"|[^\s#][^#\n]*?)(?=[ \t]*(#.*)?$)""", re.MULTILINE)
RESULTS, INFO = Path("results"), Path("data/pairs/info.json")


def run_each(names: Sequence[str], folder: Path) -> list[str]:
    """Run the pipeline for some data sets, copy the results of each to folder/NAME -> those that failed.

    That of params.yaml comes last, so that the project's own results are its again. What is left in `folder` of a
    data set that fails is removed: it belongs to other settings.
    """
    failed = []
    with putting_back() as (present, lock):
        for name in sorted(names, key=lambda name: name == present):  # the order stays but for that one
            shutil.rmtree(folder / name, ignore_errors=True)
            print(f"data set {name}", file=sys.stderr)
            choose(name)
            if dvc_repro(lock) == 0:
                copy_results(folder / name)
            else:
                failed.append(name)
                print(f"data set {name} failed: the lines above say why", file=sys.stderr)
    return failed


@contextmanager
def putting_back() -> Iterator[tuple[str, IO[str]]]:
    """Yield the data set of params.yaml, which is put back at the end, and a lock that no other process has.

    Where the process is killed, the next one puts it back: a note says what was there and what is ours.
    """
    LOCK.parent.mkdir(exist_ok=True)
    with LOCK.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError("several data sets are run in this folder already: wait for their end") from None
        put_back()
        present = study(PARAMS).dataset
        try:
            yield present, lock
        finally:
            put_back()


def put_back() -> None:
    """Undo the last choice, unless somebody has chosen another data set since."""
    if not NOTE.exists():
        return
    note = read_yaml(NOTE)
    if study(PARAMS).dataset == note["ours"] != note["before"]:
        write_text(PARAMS, with_dataset(PARAMS.read_text(encoding="utf-8"), note["before"]))
        print(
            f"params.yaml: dataset is {note['before']} again, and `dvc repro` brings its results back", file=sys.stderr
        )
    NOTE.unlink()


def choose(name: str) -> None:
    """Name a data set in params.yaml, and note what was there at first."""
    before = read_yaml(NOTE)["before"] if NOTE.exists() else study(PARAMS).dataset
    text = with_dataset(PARAMS.read_text(encoding="utf-8"), name)
    write_json(NOTE, {"before": before, "ours": name})
    write_text(PARAMS, text)


def with_dataset(text: str, name: str) -> str:
    """The text of params.yaml with another data set; every other character stays."""
    line = yaml.safe_dump({"dataset": name}, width=10**6, allow_unicode=True).rstrip("\n")
    changed, count = LINE.subn(lambda _: line, text)
    if count != 1:
        raise InputError("params.yaml has no line such as `dataset: sample`: write it on a line of its own")
    return changed


def dvc_repro(lock: IO[str]) -> int:
    """`dvc repro` -> its exit status. It holds the lock too, since it lives on where this process alone is killed."""
    process = subprocess.Popen([sys.executable, "-m", "dvc", "repro"], pass_fds=[lock.fileno()])
    stopped = False
    while process.returncode is None:
        try:
            process.wait()
        except KeyboardInterrupt:  # DVC and its stage hear it too, and end in their own time
            stopped = True
    if stopped:
        raise KeyboardInterrupt
    return process.returncode


def copy_results(folder: Path) -> None:
    """What lies in results/, and what there is to say of the pairs and the settings -> a folder that appears whole."""
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    ours = [path for path in RESULTS.iterdir() if path.is_file() and path.stem != folder.parent.name]
    for path in (*ours, INFO, PARAMS):
        shutil.copyfile(path, part / path.name)  # not a link: DVC's are read-only
    part.rename(folder)
