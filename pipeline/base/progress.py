"""How far a stage is, and how long it will still take: on a terminal, and only if it takes more than two seconds."""

from collections.abc import Collection, Iterable, Iterator, Sequence, Sized
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
SECONDS = 2
"""before anything is shown"""


def progress(items: Collection[Item], what: str, unit: str) -> Iterator[Item]:
    """The items one by one, with a bar on standard error where that is a terminal. A bar in another goes at its end."""
    return iter(tqdm(items, desc=what, unit=unit, delay=SECONDS, disable=None, leave=None))


def bar(items: Iterable[object], what: str, unit: str, sizes: Sequence[int] | None = None) -> tqdm:
    """The same to be moved by hand, by the size of each item in units, 1 where they are not given; no unit: no bar."""
    total = sum(sizes) if sizes is not None else len(items) if isinstance(items, Sized) else None
    scaled, hidden = sizes is not None, None if unit else True
    return tqdm(total=total, desc=what, unit=unit, unit_scale=scaled, delay=SECONDS, disable=hidden, leave=None)
