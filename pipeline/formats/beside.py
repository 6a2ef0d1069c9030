"""`data/beside/`: copies of what the DVC projects inside this one measured, for the stage claims.

The folder is always there, and empty but for `.gitignore` where nobody has run those projects. Beside each copy a JSON
says which study it was measured on, so that a copy of another study is never taken for one of this.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.base.errors import InputError
from pipeline.base.files import write_json
from pipeline.formats import efficiency, geometry, manifest
from pipeline.formats.damage import absent, read_json

FILES = {"efficiency.csv": efficiency.COMMAND, "geometry.parquet": geometry.COMMAND}
"""name of a copy -> the command that makes it"""
NOBODY = "nobody has measured it"
"""why nothing is known of an encoder"""
STUDY: dict[str, tuple[type, str]] = {
    "pairs": (str, "sha256 of pairs.parquet and sentences.parquet"),
    "encoders": (dict, "model -> key of its dump (C6); baseline -> sha256 of its info.json"),
}


def study(pairs: Path, manifests: Path, baselines: Path, names: Iterable[str]) -> dict[str, Any]:
    """The keys of STUDY, from what the stages prepare, dump and baseline wrote to three folders.

    Encoders that they have made nothing of are left out.
    """
    encoders = {}
    for name in names:
        if (manifests / f"{name}.json").exists():
            encoders[name] = manifest.read(manifests / f"{name}.json", name)["key"]
        elif (info := baselines / name / "info.json").exists():
            encoders[name] = _digest("baseline", info)
    files = pairs / "pairs.parquet", pairs / "sentences.parquet"
    return {"pairs": _digest("prepare", *files), "encoders": encoders}


def _digest(stage: str, *paths: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        try:
            digest.update(path.read_bytes())
        except FileNotFoundError as error:
            raise absent(path, stage) from error
    return digest.hexdigest()


def _beside(copy: str | Path) -> Path:
    """The file that says of which study a copy is."""
    return Path(copy).with_name(f"{Path(copy).stem}-study.json")


def begin(copy: str | Path) -> None:
    """Before a copy is written: it is of no study until `finish`."""
    _beside(copy).unlink(missing_ok=True)


def finish(copy: str | Path, of: dict[str, Any]) -> None:
    """Once a copy is written: say of which study it is."""
    write_json(_beside(copy), of)


def unlike(copy: str | Path, now: dict[str, Any]) -> dict[str, str]:
    """Of which encoders of the study `now` a copy says nothing, and why: {encoder: reason}, empty where all is well.

    InputError, with the command that makes it anew, where what is there is damaged.
    """
    path = Path(copy)
    if not path.exists():
        return dict.fromkeys(now["encoders"], NOBODY)
    if not _beside(path).exists():
        return dict.fromkeys(now["encoders"], "the last measurement did not end")
    try:
        then = read_json(_beside(path), {key: kind for key, (kind, _) in STUDY.items()}, "")
    except InputError as error:
        raise InputError(f"{_beside(path)} is damaged: make it anew with {FILES[path.name]}") from error
    if then["pairs"] != now["pairs"]:
        return dict.fromkeys(now["encoders"], "it was measured on other pairs")
    reasons = {}
    for name, key in now["encoders"].items():
        if name not in then["encoders"]:
            reasons[name] = NOBODY
        elif then["encoders"][name] != key:
            reasons[name] = "it has changed since it was measured"
    return reasons
