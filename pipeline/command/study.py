"""What is set in params.yaml and added to catalog.yaml, checked before it is written; DVC run on it; the way back."""

import fcntl
import io
import itertools
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.base.errors import InputError
from pipeline.base.files import write_text
from pipeline.base.settings import read_yaml
from pipeline.base.several_datasets import LOCK, dvc_repro
from pipeline.check.study import problems
from pipeline.command.catalogue import with_entry
from pipeline.command.words import Named, changed

PARAMS, CATALOG = Path("params.yaml"), Path("catalog.yaml")
CANDIDATES = Path(".drillcore/candidates")
"""where both files lie while they are checked"""


@dataclass(frozen=True)
class Plan:
    """Both settings files as they will be, and what is said of each change."""

    params: str
    catalog: str
    said: list[str]
    """a line for each entry that is added, and for each value that changes"""


def plan(names: Sequence[Named], values: Mapping[str, Any]) -> Plan:
    """New entries and values {"dataset": ..., "prepare.limit": ...} of params.yaml -> both files.

    InputError for the first thing that would be wrong in them; nothing is written but copies to check.
    """
    catalog, said = CATALOG.read_text(encoding="utf-8"), []
    for named in names:
        if named.fields is not None:
            catalog = with_entry(catalog, named.kind, named.name, named.fields)
            said.append(f"catalog.yaml: {named.kind[:-1]} {named.name}: {_in_words(named.fields)}")
        elif (marks := changed(named)) is not None:
            catalog = catalog.replace(*marks)
            said.append(f"catalog.yaml: {named.kind[:-1]} {named.name} has changed in place: revision {marks[1]}")
    params, of_params = with_values(PARAMS.read_text(encoding="utf-8"), values)
    _check(params, catalog)
    return Plan(params, catalog, said + of_params)


def with_values(text: str, values: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The text of params.yaml with other values, its comments kept as DVC keeps them; and a line for each change."""
    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 10**6
    settings, said = yaml.load(text), []
    for key, value in values.items():
        section, _, name = key.rpartition(".")
        holder = settings[section] if section else settings
        if holder.get(name) != value:
            said.append(f"params.yaml: {key}: {_in_words(holder.get(name))} -> {_in_words(value)}")
            holder[name] = value
    if not said:
        return text, []
    written = io.StringIO()
    yaml.dump(settings, written)
    return written.getvalue(), said


def _in_words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_in_words(inner)}" for key, inner in value.items())
    return (
        "[" + ", ".join(map(str, value)) + "]" if isinstance(value, list) else "null" if value is None else str(value)
    )


def _check(params: str, catalog: str) -> None:
    """Raise InputError with everything that is wrong in the two texts."""
    places = [CANDIDATES / path for path in (PARAMS, CATALOG)]
    for place, text in zip(places, (params, catalog)):
        write_text(place, text)
    found = problems(*map(str, places))
    for place in places:
        place.unlink()
    if found:
        raise InputError("; ".join(line.replace(f"{CANDIDATES}/", "") for line in found))


def write(made: Plan) -> None:
    """Put both files in place, where they differ from what is there."""
    for path, text in ((CATALOG, made.catalog), (PARAMS, made.params)):
        if path.read_text(encoding="utf-8") != text:
            write_text(path, text)


def way_back() -> str:
    """How the present params.yaml comes back once it is changed, in words."""
    unchanged = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", str(PARAMS)], capture_output=True)
    if unchanged.returncode == 0:
        return "git checkout params.yaml && dvc repro"
    settings = read_yaml(PARAMS)
    limit = (settings.get("prepare") or {}).get("limit")
    words = [settings["dataset"], *settings["models"], *(f"--baseline {name}" for name in settings["baselines"])]
    return " ".join(["drillcore run", *words, *([f"--limit {limit}"] if limit else [])])


def repro() -> int:
    """`dvc repro` -> its exit status. InputError where this folder's data sets are being run already."""
    LOCK.parent.mkdir(exist_ok=True)
    with LOCK.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError("another command runs the pipeline in this folder: wait for its end") from None
        return dvc_repro(lock)


def save(name: str) -> None:
    """Keep settings and results as an experiment of DVC."""
    dvc("exp", "save", "--force", "--name", name)


def dvc(*words: str) -> str:
    """A command of DVC -> what it says. InputError with its last line where it fails, or if another one runs here."""
    done = subprocess.run([sys.executable, "-m", "dvc", *words], capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr or done.stdout).strip() or "no reason given"
        if other := re.search(r"is being blocked by:\s+\(PID (\d+)\): (.+)", said):
            raise InputError(f"{other[2]} is running in this folder (process {other[1]}): wait for its end")
        raise InputError(f"dvc {' '.join(words)} failed: {said.splitlines()[-1].removeprefix('ERROR: ')}")
    return done.stdout


def pages() -> list[str]:
    """What there is to read in results/, the page that opens in a browser first."""
    names = ("report.html", "report.md", "poolings.md", "probes.md", "claims.md")
    return [f"results/{name}" for name in names if (Path("results") / name).exists()]


def stages() -> list[str]:
    """What `dvc repro` would run, by names and how often; DVC may find some of it in its cache."""
    if not Path("data/code").is_dir():  # nothing has run; DVC's dry run ends at a file that the first stage would make
        return ["all"]
    lines = dvc("repro", "--dry").splitlines()
    names = [line.split("'")[1].split("@")[0] for line in lines if line.startswith("Running stage '")]
    counts = {name: names.count(name) for name in names}
    return [name if count == 1 else f"{name} x {count}" for name, count in counts.items()] or [
        "none, all is up to date"
    ]


def answer() -> list[str]:
    """The first lines of results/report.md, which say what came out, without their marks."""
    lines = Path("results/report.md").read_text(encoding="utf-8").splitlines()
    first = next((number for number, line in enumerate(lines) if line.startswith("- ")), len(lines))
    return [line.replace("**", "") for line in itertools.takewhile(lambda line: line.startswith("- "), lines[first:])]
