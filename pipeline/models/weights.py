"""Where the weights of a catalogue entry lie, and what determines them (a part of contract C6)."""

from pathlib import Path
from typing import Any

from pipeline.base.errors import InputError
from pipeline.catalog import revisions
from pipeline.catalog.entries import Model, source_of
from pipeline.catalog.fetch import digest, local, snapshot
from pipeline.formats import finetunes
from pipeline.models.checkpoints import checkpoint_files

DESCRIPTIONS = ["*.json", "*.txt", "*.model"]
"""files of a repository of the hub that say what its weights are"""


def locate(entry: Model, name: str) -> Path | None:
    """The file or folder of a model's weights, downloaded first if the entry names the hub; None for random weights."""
    what = f"model {name}"
    source_of(entry, what)
    if entry.adapter is not None and not adapter_files(Path(entry.adapter)):
        remedy = "Mend `adapter` in catalog.yaml" if entry.finetune is None else f"Run: dvc repro finetune@{name}"
        raise InputError(f"{what}: {entry.adapter} holds no adapter ({' or '.join(finetunes.WEIGHTS[1:])}). {remedy}")
    if entry.path is not None:
        return local(entry.path, what)
    if entry.hub is None:
        return None
    commit = revisions.commit_of(entry.hub, entry.revision, what)
    folder = snapshot(entry.hub, commit, [*DESCRIPTIONS, "*.safetensors"], what)
    if not list(folder.glob("*.safetensors")):
        folder = snapshot(entry.hub, commit, [*DESCRIPTIONS, "*.bin"], what)
    return folder


def source(entry: Model, path: Path | None) -> dict[str, str] | None:
    """Which commit of the hub weights are of that lie at a path; None for local and random ones."""
    if entry.hub is None or path is None:
        return None
    return revisions.source(entry.hub, entry.revision, path.name)


def fingerprint(entry: Model, path: Path | None) -> dict[str, Any]:
    """What determines the weights: sha256 of the files, or the seed; the config's fields that the entry sets; and the
    adapter, where there is one.
    """
    learned = {} if entry.adapter is None else {"adapter": digest(adapter_files(Path(entry.adapter)))}
    if path is None:
        return {"random": entry.random, "config": entry.config} | learned
    files = checkpoint_files(path)
    if path.is_dir() and (path / "config.json").exists():
        files = [*files, path / "config.json"]
    return {"sha256": digest(files), "config": entry.config} | learned


def adapter_files(folder: Path) -> list[Path]:
    """The files of an adapter that decide what it does; none where there is none."""
    return [folder / name for name in finetunes.WEIGHTS if (folder / name).exists()]
