"""A dump takes its place once all its shards are there, by whichever worker comes first."""

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.dump.work import Work
from pipeline.storage import locks
from pipeline.storage.contract import Receipt, Store
from pipeline.storage.places import dumps, store_at

PUBLISHING = Path(".drillcore/publishing")
"""the lock of whoever changes a folder of shards that others read"""


def nothing(facts: dict[str, Any]) -> None:
    """Writes nothing."""


@dataclass(frozen=True)
class Places:
    """Where a dump goes, and where it is built."""

    out: Path
    """folder of the shards"""
    key: str
    """name of the folder in which they are built (contract C6)"""
    manifest: Path | None = None
    """that of an earlier dump is removed before `out` changes"""
    store: str | Path = field(default_factory=dumps)
    """where dumps are built, in a folder for each key; a folder or a URL"""
    beside: tuple[Path, ...] = ()
    """what else `finish` writes, before the manifest"""
    finish: Callable[[dict[str, Any]], None] = nothing
    """called once the shards are in `out`, with what the manifest says of them"""

    @property
    def built(self) -> Store:
        """The store of the key."""
        return store_at(self.store, self.key)


def publish_once(places: Places, facts: dict[str, Any]) -> None:
    """Publish a dump whose shards are all there, unless another worker has: one at a time.

    facts: what the manifest says of the shards. An earlier manifest goes before the shards do, and the new one comes
    last, so that its existence means that all else is there.
    """
    names = [shard["name"] for shard in facts["shards"]]
    with locks.alone(PUBLISHING):
        if is_complete(places, facts) and places.built.published(names, places.out):
            return
        if places.manifest:
            places.manifest.unlink(missing_ok=True)
        places.built.publish(names, places.out, {"key": places.key} | facts)
        places.finish(facts)


def is_complete(places: Places, facts: Mapping[str, Any]) -> bool:
    """Whether the manifest that is there, and what lies beside it, are of this very dump."""
    if places.manifest is None or not all(path.exists() for path in places.beside):
        return False
    with contextlib.suppress(OSError, ValueError, AttributeError):
        found = json.loads(places.manifest.read_text(encoding="utf-8"))
        return found.get("key") == places.key and all(found.get(name) == value for name, value in facts.items())
    return False


def facts_of(work: Work, receipts: Mapping[str, Receipt]) -> dict[str, Any]:
    """What the manifest says of the shards (`pipeline.formats.manifest`). receipts: of all, by name."""
    shards = [
        {
            "name": work.name(number),
            "batches": len(shard),
            "sentences": sum(len(sentences) for record in shard for sentences in record),
            "tokens": work.tokens_of(shard),
            **receipts[work.name(number)],
        }
        for number, shard in enumerate(work.shards)
    ]
    return {
        "readout": str(work.readout),
        "layers": work.layers,
        "dim": work.dim,
        "keep": work.settings.keep,
        "store": work.settings.store,
        "sentences": len(work.ids),
        "tokens": sum(shard["tokens"] for shard in shards),
        "shards": shards,
    }
