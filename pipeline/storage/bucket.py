"""The shards of a key below a URL, in a bucket or what else fsspec knows.

A shard is written to a file of this machine, hashed while it is written, then uploaded whole. Its receipt follows, so a
shard that has one is there. Last comes manifest.json, with the lengths and sha256 of all.
"""

import json
import os
import secrets
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.base.files import write_json
from pipeline.storage import leases, space
from pipeline.storage.contract import LOCATION, Receipt
from pipeline.storage.leases import Lease
from pipeline.storage.remote import abort_uploads, contents, explained, filesystem, make_folder, put

STAGING = Path(".drillcore/staging")
"""where shards are written before they are uploaded"""
MANIFEST = "manifest.json"
"""beside the shards, once they are all there"""
AT_ONCE = 2
"""shards of a worker that are on the disk of this machine: one is uploaded while the next is written"""


@dataclass(frozen=True)
class Bucket:
    """The place of a key below a URL."""

    url: str
    staging: Path = STAGING

    trusted = True
    poll = 5.0

    def __str__(self) -> str:
        return self.url

    @property
    def here(self) -> Path:
        """The folder of this machine in which shards of this key are written."""
        return self.staging / self.url.rsplit("/", 1)[1]

    def file(self, name: str) -> tuple[Any, str]:
        """The file system, and the path of a file in it."""
        fs, root = filesystem(self.url)
        return fs, f"{root}/{name}"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folders in which shards are written, without what processes left that were killed, of this key or
        another. Nobody clears a bucket from here.
        """
        self.here.mkdir(parents=True, exist_ok=True)
        for part in self.staging.glob("*/*.part"):
            host, process, _ = part.name.split(".arrow.")[1].rsplit("-", 2)
            if leases.is_gone(host, int(process)):
                part.unlink(missing_ok=True)
        yield

    def claim(self, name: str) -> "BucketClaim | None":
        """Claim a shard; None while another worker has it (`leases`)."""
        with explained(self.url):
            make_folder(*filesystem(self.url))
            lease = Lease(*self.file(f"{name}.claim"))
            return BucketClaim(self, name, lease) if lease.make() else None

    def claimed(self, name: str) -> bool:
        """Whether a worker has a shard."""
        with explained(self.url):
            return leases.is_held(*self.file(f"{name}.claim"))

    def receipts(self, names: Sequence[str]) -> dict[str, Receipt]:
        """Those of shards that are there by name and size."""
        with explained(self.url):
            fs, root = filesystem(self.url)
            sizes = self.sizes()
            wanted = [name for name in names if name in sizes and _receipt(name) in sizes]
            texts = contents(fs, [f"{root}/{_receipt(name)}" for name in wanted])
        found = {name: _parsed(text) for name, text in zip(wanted, texts)}
        return {name: receipt for name, receipt in found.items() if receipt and receipt["bytes"] == sizes[name]}

    def sizes(self) -> dict[str, int]:
        """Bytes of all that is there, by name."""
        fs, root = filesystem(self.url)
        try:
            return {file["name"].rsplit("/", 1)[-1]: file["size"] for file in fs.ls(root, detail=True)}
        except FileNotFoundError:  # nothing of this key yet
            return {}

    def check_space(self, needed: int, out: Path, total: int, shard: int) -> None:
        """Raise InputError where the disk of this machine has no room for the shards that are on their way."""
        space.check_space(self.here, min(needed, AT_ONCE * shard), out, 0)

    def published(self, names: Sequence[str], out: Path) -> bool:
        """Whether the folder `out` says that the shards are here, and has none itself."""
        with explained(self.url):
            fs, path = self.file(MANIFEST)
            there = fs.exists(path)
        return there and location_in(out) == self.url and not list(out.glob("*.arrow"))

    def publish(self, names: Sequence[str], out: Path, facts: Mapping[str, Any]) -> None:
        """Write the manifest beside the shards, and let the folder `out` say where they are.

        Claims that are still there are of workers that were killed between a receipt and their release, and uploads of
        such that were killed in one.
        """
        with explained(self.url):
            for left in self.sizes():
                if left.endswith(".claim"):
                    with suppress(FileNotFoundError):
                        fs, path = self.file(left)
                        fs.rm_file(path)
            abort_uploads(*filesystem(self.url))
            fs, path = self.file(MANIFEST)
            fs.pipe_file(path, json.dumps(dict(facts), indent=2).encode())
        out.mkdir(parents=True, exist_ok=True)
        for stale in out.glob("*.arrow"):
            stale.unlink()
        write_json(out / LOCATION, {"url": self.url})


class BucketClaim:
    """A shard of a bucket that is ours to make."""

    def __init__(self, bucket: Bucket, name: str, lease: Lease) -> None:
        self.bucket, self.name, self.lease = bucket, name, lease
        bucket.here.mkdir(parents=True, exist_ok=True)
        self.part = bucket.here / f"{name}.{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}.part"

    def finished(self) -> Receipt | None:
        """The receipt, if the shard is there in its size. A store keeps what it has; readers compare the sha256."""
        with explained(self.bucket.url), suppress(FileNotFoundError):
            fs, path = self.bucket.file(_receipt(self.name))
            receipt = _parsed(fs.cat_file(path))
            fs, path = self.bucket.file(self.name)
            return receipt if receipt and fs.info(path)["size"] == receipt["bytes"] else None
        return None

    def renew(self) -> None:
        """We are still at it."""
        with explained(self.bucket.url):
            self.lease.renew()

    def publish(self, receipt: Receipt) -> None:
        """Upload the shard, then its receipt."""
        with explained(self.bucket.url):
            put(*self.bucket.file(self.name), self.part, receipt["bytes"])
            fs, path = self.bucket.file(_receipt(self.name))
            fs.pipe_file(path, json.dumps(receipt).encode())

    def release(self) -> None:
        """Leave the shard to others; what is unfinished is removed."""
        self.part.unlink(missing_ok=True)
        with suppress(Exception):  # a claim that stays ends by itself
            self.lease.release()


def location_in(out: Path) -> str | None:
    """Where a folder says that its shards are; None for one that has them."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads((out / LOCATION).read_text())["url"])
    return None


def _receipt(name: str) -> str:
    """The receipt of a shard lies beside it."""
    return f"{name.removesuffix('.arrow')}.json"


def _parsed(text: Any) -> Receipt | None:
    with suppress(ValueError, KeyError, TypeError):
        found = json.loads(text)
        return Receipt(bytes=found["bytes"], sha256=found["sha256"])
    return None
