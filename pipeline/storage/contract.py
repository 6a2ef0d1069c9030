"""What a store of shards is: whoever makes them needs no more."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypedDict

LOCATION = "location.json"
"""in the place of shards that lie elsewhere: says where"""


class Receipt(TypedDict):
    """What lies beside a finished shard."""

    bytes: int
    sha256: str


class Claim(Protocol):
    """A shard that is ours to make until it is published or released. Claims save time and decide nothing.

    A shard is a function of its key, and publishing is atomic. So two workers that both make one lose time alone.
    """

    part: Path
    """a file on a disk of this machine to write the shard to"""

    def finished(self) -> Receipt | None:
        """The receipt, if the shard is there and what was written; what is not is taken away."""
        ...

    def renew(self) -> None:
        """We are still at it."""
        ...

    def publish(self, receipt: Receipt) -> None:
        """Give the shard its name, with all that was written to `part`."""
        ...

    def release(self) -> None:
        """Leave the shard to others; what is unfinished is removed. Once published, or a second time, it is nothing."""
        ...


class Store(Protocol):
    """The shards of one key."""

    trusted: bool
    """whether a receipt is enough: what is there is kept whole, and need not be read again before it is used"""
    poll: float
    """seconds between two looks at shards that other workers make"""

    @property
    def here(self) -> Path:
        """The folder of this machine in which its shards are written."""
        ...

    def held(self) -> AbstractContextManager[None]:
        """While a worker is at it, so that nobody clears it."""
        ...

    def claim(self, name: str) -> Claim | None:
        """Claim a shard; None while another worker has it."""
        ...

    def claimed(self, name: str) -> bool:
        """Whether a worker has a shard."""
        ...

    def receipts(self, names: Sequence[str]) -> dict[str, Receipt]:
        """Those of shards that are there by name and size. `Claim.finished` looks at what is in them."""
        ...

    def check_space(self, needed: int, out: Path, total: int, shard: int) -> None:
        """Raise InputError where there is no room for the bytes still `needed`, or for the `total` at `out`; a shard
        has `shard` bytes.
        """
        ...

    def published(self, names: Sequence[str], out: Path) -> bool:
        """Whether the folder `out` has exactly these shards, or says that they are here."""
        ...

    def publish(self, names: Sequence[str], out: Path, facts: Mapping[str, Any]) -> None:
        """Let the folder `out` have exactly these shards, or say that they are here.

        facts: what their manifest says.
        """
        ...
