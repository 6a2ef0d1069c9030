"""The names of catalog.yaml: what each is, its size and licence where they are known, and what is on this machine."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.base.settings import Text, read_yaml
from pipeline.catalog.entries import Baseline, Dataset, Model, entry, local_paths
from pipeline.catalog.fetch import DOWNLOADS
from pipeline.catalog.revisions import COMMIT, RECORD, name_of

HERE, ABSENT, MADE = "here", "not here", "made"


@dataclass(frozen=True)
class Listed:
    """An entry, in words."""

    name: str
    where: str
    """a path, a repository or what it is made of"""
    here: str
    """whether its files are on this machine"""
    bytes: int | None
    """of its files, None where they are not here or there are none"""
    licence: str
    """as its card says; empty where there is none"""


def listed(kind: str, path: str = "catalog.yaml") -> Iterator[Listed]:
    """Every entry of a kind, in the order of the file. InputError for one that is not well-formed."""
    for name in read_yaml(path).get(kind) or {}:
        yield of_entry(name, entry(kind, name, path))


def of_entry(name: str, found: Dataset | Model | Baseline) -> Listed:
    """What there is to say of an entry; no network is used."""
    hub = getattr(found, "hub", None)
    if hub is not None and not Path(hub).is_dir():
        kind = "dataset" if isinstance(found, Dataset) else "model"
        folder = cached_folder(hub, found.revision, kind)
        return Listed(name, f"hub:{hub}", ABSENT if folder is None else HERE, _bytes([folder]), _licence([folder]))
    if (url := getattr(found, "url", None)) is not None:
        folder = Path(DOWNLOADS) / hashlib.sha256(url.encode()).hexdigest()[:16]
        return Listed(name, url, HERE if folder.is_dir() else ABSENT, _bytes([folder]), "")
    files = [Path(file).expanduser() for file in local_paths(found)]
    where = " + ".join(map(str, dict.fromkeys(files)))
    if isinstance(found, Model) and found.random is not None:
        return Listed(name, f"random weights {found.random}", MADE, None, "")
    if not files:
        return Listed(name, found.kind if isinstance(found, Baseline) else "", MADE, None, "")
    is_here = all(file.exists() for file in files)
    return Listed(name, where, HERE if is_here else ABSENT, _bytes(dict.fromkeys(files)), _licence(files))


def cached_folder(hub: str, revision: Text | None, kind: str = "model") -> Path | None:
    """Where the hub's client keeps a repository at a revision, if any of it is here."""
    from huggingface_hub import constants

    place = Path(constants.HF_HUB_CACHE) / f"{kind}s--{hub.replace('/', '--')}"
    name, reference = name_of(revision), place / "refs" / name_of(revision)
    noted = (read_yaml(RECORD) if RECORD.exists() else {}).get(f"{kind} {hub}@{name}")
    commit = (
        name if COMMIT.fullmatch(name) else noted or (reference.read_text().strip() if reference.is_file() else None)
    )
    folder = place / "snapshots" / str(commit)
    return folder if commit and folder.is_dir() else None


def cached_file(hub: str, revision: Text | None, name: str) -> Path | None:
    """A file of a model's repository, if it is on this machine."""
    folder = cached_folder(hub, revision)
    return folder / name if folder is not None and (folder / name).exists() else None


def _bytes(places: Iterable[Path | None]) -> int | None:
    """Bytes of files and of all files in folders; None where nothing is there."""
    files: list[Path] = []
    for place in places:
        if place is not None and place.exists():
            files += [place] if place.is_file() else [file for file in place.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) if files else None


def _licence(places: Iterable[Path | None]) -> str:
    """The licence in the card (README.md) of a folder, or of a file's folder: `license` of its first block."""
    for place in places:
        card = None if place is None else (place if place.is_dir() else place.parent) / "README.md"
        if card is not None and card.is_file():
            head = card.read_text(encoding="utf-8", errors="replace").split("\n---", 1)[0].splitlines()
            for line in head if head[:1] == ["---"] else ():
                if line.startswith("license:"):
                    return line.partition(":")[2].strip()
    return ""
