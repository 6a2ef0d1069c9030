"""A finished dump as it is read: the shards of contract C3 (or what else a dump keeps), compared with their manifest.

It is apart from `states`, which the dump writes by: a change of these checks makes no dump anew.
"""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.base.files import write_text
from pipeline.formats import recurrent
from pipeline.formats.arrays import each_once
from pipeline.formats.damage import absent, damaged, foreign
from pipeline.formats.elsewhere import Batches, manifest_at
from pipeline.formats.states import holds_tokens, layer_name, layer_number, sentences_of
from pipeline.storage.bucket import location_in

VERIFIED = Path(".drillcore/verified")
"""where it is noted which shards were compared with their sha256, so that each is read through once"""


@dataclass(frozen=True)
class States:
    """What a dump kept of one model, memory-mapped: nothing is read before it is used.

    What lies in a store is fetched when it is used, shard by shard.
    """

    folder: Path
    batches: Sequence[pa.RecordBatch]
    """in the order of the plan, shortest sentence first"""
    layers: dict[int, str]
    """layer number -> the beginning of its columns' names"""
    keep: str
    """tokens where a row is a token; pooled where it is a sentence with statistics, state with its recurrent state"""

    def __reduce__(self) -> tuple:
        return read, (self.folder,)  # in another process: it is mapped there, and was compared with its manifest here

    @property
    def of_tokens(self) -> bool:
        """Whether a row is a token."""
        return self.keep == "tokens"

    def sentence_ids(self) -> np.ndarray:
        """The sentences in the order of the plan -> (S,)."""
        batches = self.batches.indices() if isinstance(self.batches, Batches) else self.batches
        return np.concatenate([sentences_of(batch) for batch in batches])

    def check_sentences(self, count: int | None = None) -> None:
        """Raise InputError unless these are the states of sentences 0 to count - 1, those of the pairs, each once.

        None: of as many as there are.
        """
        ids = self.sentence_ids()
        count = len(ids) if count is None else count
        if len(ids) != count or not each_once(ids):
            problem = f"holds the states of {len(ids)} sentences, expected sentences 0 to {count - 1}, each once"
            raise foreign(self.folder, problem, f"dump@{self.folder.name}")


def read(folder: str | Path, manifest: dict[str, Any] | None = None) -> States:
    """The states in a folder, or where it says, compared with their manifest (`manifest.read`) where it is given.

    Raises InputError for shards that are missing, cut, flipped or of another dump.
    """
    folder = Path(folder)
    stage = f"dump@{manifest['model'] if manifest else folder.name}"
    if url := location_in(folder):
        about = manifest or manifest_at(url, stage)
        if not url.endswith(about["key"]):
            raise foreign(folder, f"says that its shards are in {url}, expected key {about['key']}", stage)
        layers = {layer: layer_name(layer) for layer in about["layers"]}
        return States(folder, Batches(url, about["shards"], stage), layers, about["keep"])
    paths = sorted(folder.glob("*.arrow"), key=lambda path: (len(path.name), path.name))  # 100000 comes after 99999
    if not paths:
        raise absent(f"{folder}/*.arrow", stage)
    if manifest is not None:
        check_shards(folder, paths, manifest, stage)
    batches = [batch for path in paths for batch in _record_batches(path, stage)]
    if not batches:
        raise damaged(folder, "has no rows", stage)
    names = batches[0].schema.names[2:]
    layers = {layer_number(name): "_".join(name.split("_")[:2]) for name in names}
    if manifest is not None and list(layers) != manifest["layers"]:
        raise foreign(folder, f"has layers {list(layers)}, expected {manifest['layers']}", stage)
    return States(folder, batches, layers, kind_of(batches[0]))


def kind_of(batch: pa.RecordBatch) -> str:
    """What `dump.keep` was for a record batch."""
    if holds_tokens(batch):
        return "tokens"
    return "state" if recurrent.held_by(batch) else "pooled"


def check_shards(folder: Path, paths: list[Path], manifest: dict[str, Any], stage: str) -> None:
    """Raise InputError where the shards are not those of the manifest, byte for byte.

    A shard whose hash was right is not hashed again while its size, time and inode stay: that is noted under VERIFIED.
    """
    names = {shard["name"] for shard in manifest["shards"]}
    if extra := sorted({path.name for path in paths} ^ names):
        raise foreign(folder, f"and its manifest differ in {extra[0]}", stage)
    for shard in manifest["shards"]:
        path = folder / shard["name"]
        status = path.stat()
        if status.st_size != shard["bytes"]:
            raise damaged(path, f"has {status.st_size} of {shard['bytes']} bytes", stage)
        note = VERIFIED / hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:24]
        seen = f"{shard['sha256']} {status.st_size} {status.st_mtime_ns} {status.st_ino}"
        if note.is_file() and note.read_text() == seen:
            continue
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != shard["sha256"]:
                raise damaged(path, "is not what was written (another sha256)", stage)
        with contextlib.suppress(OSError):  # a read-only folder: it is hashed again next time
            write_text(note, seen)


def _record_batches(path: Path, stage: str) -> Iterator[pa.RecordBatch]:
    try:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        for i in range(reader.num_record_batches):
            yield reader.get_batch(i)
    except (OSError, pa.ArrowException) as error:
        raise damaged(path, f"is not a whole shard ({error})", stage) from error
