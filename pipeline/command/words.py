"""Words of the command line -> entries of the catalogue: a name, a file of pairs, a folder of weights, or `hub:`."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.base.errors import InputError, did_you_mean
from pipeline.base.settings import build
from pipeline.catalog import revisions
from pipeline.catalog.entries import Dataset, entry
from pipeline.catalog.fetch import digest, local
from pipeline.text.columns import NEEDED
from pipeline.text.files import read_file

MARK = "sha256-"
"""how a `revision` begins that says what a file or folder held: DVC watches entries, not the files that they name"""
WEIGHTS = (".safetensors", ".bin", ".pth", ".pt")
DESCRIBED_BY = (".json", ".txt", ".model")
"""endings of what decides, beside the weights, what a model does"""
ON_HUB = re.compile(r"(?P<hub>[A-Za-z0-9][\w.-]*/[\w.-]+)(@(?P<revision>[\w.-]+))?")

Catalogue = Mapping[str, Mapping[str, Any]]
"""what catalog.yaml holds: kind -> name -> fields"""


@dataclass(frozen=True)
class Named:
    """What a word stands for."""

    kind: str
    """datasets, models or baselines"""
    name: str
    """in the catalogue"""
    fields: dict[str, Any] | None = None
    """of an entry that is to be added; None for one that is there"""


def pairs(
    word: str, columns: Mapping[str, str], given: Mapping[str, Any], name: str | None, catalogue: Catalogue
) -> Named:
    """A data set of the catalogue, or a file whose `columns` {ours: the file's} and other fields are `given`.

    InputError for a word that is neither, and for a file that lacks a column.
    """
    known = catalogue.get("datasets") or {}
    if word in known:
        if columns or given or name:
            raise InputError(
                f"{word} is a data set of catalog.yaml, which says what its columns are: leave out the options for "
                f"files, mend its entry, or write ./{word} for a file of that name"
            )
        return Named("datasets", word)
    if not Path(word).expanduser().is_file():
        raise InputError(
            f"PAIRS is {word!r}, neither a file here nor a name of catalog.yaml: {did_you_mean(word, known)}"
        )
    path = str(Path(word))
    fields = {"path": path} | ({"columns": dict(columns)} if columns else {}) | dict(given)
    if (same := _same(fields, known, name)) is not None:
        return Named("datasets", same)
    _check_columns(path, build(Dataset, fields, word))
    return _new("datasets", name or slug(Path(path).name.split(".")[0]), fields | marked(path), catalogue, word)


def model(word: str, given: Mapping[str, Any], name: str | None, catalogue: Catalogue, ask: bool = True) -> Named:
    """A model of the catalogue, a folder or file of weights, or a repository of the hub: hub:owner/name[@revision].

    `ask`: whether the hub may be asked which commit a revision is. InputError for a word that is none of these.
    """
    known = catalogue.get("models") or {}
    if word in known and not given and not name:
        return Named("models", word)
    if word in (catalogue.get("baselines") or {}):
        raise InputError(f"{word} is a baseline, not a model: name it with --baseline {word}")
    on_hub = ON_HUB.fullmatch(word.removeprefix("hub:"))
    if word.startswith("hub:") or (on_hub and not Path(word).exists() and not Path(word).parent.is_dir()):
        if not on_hub:
            raise InputError(f"MODEL is {word!r}: expected hub:owner/name, or hub:owner/name@revision")
        return _of_hub(on_hub["hub"], on_hub["revision"], given, name, catalogue, ask)
    if not Path(word).expanduser().exists():
        raise InputError(
            f"MODEL is {word!r}, neither a folder or file here nor a name of catalog.yaml (or write "
            f"hub:owner/name): {did_you_mean(word, known)}"
        )
    path = str(Path(word))
    is_file = Path(path).expanduser().is_file()
    fields = {"path": path} | ({"tokenizer": "world"} if is_file and "tokenizer" not in given else {}) | dict(given)
    if (same := _same(fields, known, name)) is not None:
        return Named("models", same)
    stem = Path(path).expanduser().absolute().name
    return _new("models", name or slug(stem.split(".")[0] if is_file else stem), fields | marked(path), catalogue, word)


def _of_hub(
    hub: str, revision: str | None, given: Mapping[str, Any], name: str | None, catalogue: Catalogue, ask: bool
) -> Named:
    fields = {"hub": hub} | ({"revision": revision} if revision else {}) | dict(given)
    known = catalogue.get("models") or {}
    if (same := _same(fields, known, name)) is not None:
        return Named("models", same)
    name = name or slug(hub.split("/")[1])
    commit = revisions.commit_of(hub, revision, f"model {name}") if ask else revisions.name_of(revision)
    return _new("models", name, {"hub": hub, "revision": commit} | dict(given), catalogue, f"hub:{hub}")


def baselines(words: list[str], catalogue: Catalogue) -> list[str]:
    """Names of baselines, all of which are there. InputError that names the near misses."""
    known = catalogue.get("baselines") or {}
    for word in words:
        if word not in known:
            raise InputError(f"--baseline is {word!r}, no baseline of catalog.yaml: {did_you_mean(word, known)}")
    return words


def _same(fields: Mapping[str, Any], known: Mapping[str, Any], name: str | None) -> str | None:
    """The entry that says what `fields` say, of several the one that says least else; None where there is none.

    Where they say only where the data are, an entry may say more: it was written with care.
    """
    alike = {}
    for other, values in known.items():
        values = values or {}
        if (name in (None, other)) and all(_plain(values.get(key)) == _plain(value) for key, value in fields.items()):
            alike[other] = len(values.keys() - fields.keys() - {"revision"})
    if len(fields) > 1:
        alike = {other: more for other, more in alike.items() if more == 0}
    return min(alike, key=lambda other: alike[other], default=None)


def _plain(value: Any) -> Any:
    return str(Path(value)) if isinstance(value, str) else value


def _new(kind: str, name: str, fields: dict[str, Any], catalogue: Catalogue, word: str) -> Named:
    for other in ("datasets",) if kind == "datasets" else ("models", "baselines"):
        if name in (catalogue.get(other) or {}):
            raise InputError(
                f"catalog.yaml has a {other[:-1]} {name} already, which says something else than {word}: give the "
                f"new one another name (--{'pairs' if kind == 'datasets' else 'model'}-name), or mend that entry"
            )
    return Named(kind, name, fields)


def slug(text: str) -> str:
    """Text as a name of the catalogue: letters, digits, - and _; a letter first, so that YAML reads no number."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-").lower()
    return (name if re.match("[a-z]", name) and name not in ("null", "true", "false", "yes", "no") else f"my-{name}")[
        :100
    ]


def marked(path: str) -> dict[str, str]:
    """A `revision` that says what a file or folder holds, so that DVC sees when it changes."""
    place = local(path, path)
    files = [place] if place.is_file() else list(_of_model(place))
    return {"revision": f"{MARK}{digest(files)[:12]}"}


def _of_model(folder: Path) -> Iterator[Path]:
    """What decides what a model does, in its folder."""
    return (file for file in folder.iterdir() if file.suffix in (*WEIGHTS, *DESCRIBED_BY) and file.is_file())


def changed(named: Named, path: str = "catalog.yaml") -> tuple[str, str] | None:
    """The mark that an entry has, and the one it should have, where its file has changed in place since."""
    found = entry(named.kind, named.name, path)
    mark, place = getattr(found, "revision", None), getattr(found, "path", None)
    if not str(mark).startswith(MARK) or not isinstance(place, str):
        return None
    now = marked(place)["revision"]
    return None if now == mark else (str(mark), now)


def _check_columns(path: str, entry: Dataset) -> None:
    """Raise InputError, in words of the command line, for a file without the columns that are needed."""
    wanted = [*NEEDED, *map(str, entry.columns.values())]
    present = read_file(local(path, path), path, entry, wanted).columns
    for ours, theirs in entry.columns.items():
        if str(theirs) not in present:
            raise InputError(f"--{ours} is {theirs!r}, no column of {path}: {did_you_mean(theirs, present)}")
    if absent := [ours for ours in NEEDED if ours not in present and ours not in entry.columns]:
        free = [
            name for name in present if name not in entry.columns.values() and name not in (*NEEDED, "split", "idx")
        ]
        guess = " ".join(f"--{ours} {theirs}" for ours, theirs in zip(absent, [*free, *["COLUMN"] * 3]))
        raise InputError(
            f"{path} has no column {', '.join(absent)}: it has {', '.join(present)}. Say which is which: {guess}"
        )
