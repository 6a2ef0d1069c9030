"""How far a stage is, and how long it will still take: on a terminal, and only if it takes more than two seconds."""

from collections.abc import Collection, Iterator
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
SECONDS = 2
"""before anything is shown"""


def progress(items: Collection[Item], what: str, unit: str) -> Iterator[Item]:
    """The items one by one, with a bar on standard error where that is a terminal. A bar in another goes at its end."""
    return iter(tqdm(items, desc=what, unit=unit, delay=SECONDS, disable=None, leave=None))
