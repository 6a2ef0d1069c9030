"""Where the weights of a catalogue entry lie, and what determines them (a part of contract C6)."""

import dataclasses
from pathlib import Path
from typing import Any

from pipeline.base.errors import InputError
from pipeline.catalog import revisions
from pipeline.catalog.entries import Model, source_of
from pipeline.catalog.fetch import config_file, digest, local, snapshot
from pipeline.formats import finetunes
from pipeline.models.checkpoints import checkpoint_files
from pipeline.models.configs import folder_config

DESCRIPTIONS = ["*.json", "*.txt", "*.model"]
"""files of a repository of the hub that say what its weights are"""

OF_FILES = {"architectures", "dtype", "id2label", "label2id", "transformers_version"}
"""fields of a config that say how weights were saved or what a classifier's classes are called"""


def drawn(entry: Model, name: str) -> Model:
    """A model with random weights, with all of its config in `config`: that of its hub or path, where it names one, of
    which no weights are fetched. Other models as they are.

    InputError where there is no config.json.
    """
    if entry.random is None or (entry.hub is None and entry.path is None):
        return entry
    what = f"model {name}"
    if entry.path is not None:
        folder = local(entry.path, what)
    else:
        commit = revisions.commit_of(str(entry.hub), entry.revision, what)
        folder = snapshot(str(entry.hub), commit, DESCRIPTIONS, what)
    config = folder_config(config_file(folder, what).parent, entry.config)
    known = {field.name for field in dataclasses.fields(type(config))} - OF_FILES
    fields = {field: value for field, value in config.to_diff_dict().items() if field in known}
    return dataclasses.replace(entry, config={"model_type": config.model_type} | fields)


def locate(entry: Model, name: str) -> Path | None:
    """The file or folder of a model's weights, downloaded first if the entry names the hub; None for random weights."""
    what = f"model {name}"
    source_of(entry, what)
    if entry.adapter is not None and not adapter_files(Path(entry.adapter)):
        remedy = "Mend `adapter` in catalog.yaml" if entry.finetune is None else f"Run: dvc repro finetune@{name}"
        raise InputError(f"{what}: {entry.adapter} holds no adapter ({' or '.join(finetunes.WEIGHTS[1:])}). {remedy}")
    if entry.random is not None:
        return None
    if entry.path is not None:
        return local(entry.path, what)
    assert entry.hub is not None
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
    """What determines the weights: sha256 of the files, or the seed (of a `drawn` entry); the config's fields that the
    entry sets; and the adapter, where there is one.
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
