"""Which store a key has on this machine."""

from pathlib import Path

from pipeline.storage.contract import Store
from pipeline.storage.folder import Folder

DUMPS = Path(".drillcore/dumps")
"""where dumps are built, in a folder for each key"""


def store_at(place: Path, key: str) -> Store:
    """The store of a key at a place."""
    return Folder(place / key)
