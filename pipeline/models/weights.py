"""Where the weights of a catalogue entry lie, and what determines them (a part of contract C6)."""

from pathlib import Path
from typing import Any

from pipeline.catalog.entries import Model, source_of
from pipeline.catalog.fetch import digest, local, snapshot
from pipeline.models.checkpoints import checkpoint_files

DESCRIPTIONS = ["*.json", "*.txt", "*.model"]
"""files of a repository of the hub that say what its weights are"""


def locate(entry: Model, name: str) -> Path | None:
    """The file or folder of a model's weights, downloaded first if the entry names the hub; None for random weights."""
    what = f"model {name}"
    source_of(entry, what)
    if entry.path is not None:
        return local(entry.path, what)
    if entry.hub is None:
        return None
    revision = None if entry.revision is None else str(entry.revision)
    folder = snapshot(entry.hub, revision, [*DESCRIPTIONS, "*.safetensors"], what)
    if not list(folder.glob("*.safetensors")):
        folder = snapshot(entry.hub, revision, [*DESCRIPTIONS, "*.bin"], what)
    return folder


def fingerprint(entry: Model, path: Path | None) -> dict[str, Any]:
    """What determines the weights: sha256 of the files, or the seed; and the config's fields that the entry sets."""
    if path is None:
        return {"random": entry.random, "config": entry.config}
    files = checkpoint_files(path)
    if path.is_dir() and (path / "config.json").exists():
        files = [*files, path / "config.json"]
    return {"sha256": digest(files), "config": entry.config}
