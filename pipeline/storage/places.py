"""Where large results lie on this machine: DRILLCORE_STORE, a folder or a URL."""

import os
import secrets
from pathlib import Path

from pipeline.storage import space
from pipeline.storage.bucket import Bucket
from pipeline.storage.contract import Store
from pipeline.storage.folder import Folder
from pipeline.storage.remote import explained, filesystem, is_url

STORE = ".drillcore"
"""the folder, unless DRILLCORE_STORE says otherwise"""


def location() -> str:
    """The folder or the URL below which large results lie."""
    return (os.environ.get("DRILLCORE_STORE") or STORE).rstrip("/").removeprefix("file://")


def dumps() -> str:
    """Where dumps are built, in a folder for each key."""
    return f"{location()}/dumps"


def dumps_here() -> Path:
    """The folder of this machine that dumps are built in where they are not built below a URL."""
    return Path(STORE if is_url(location()) else location()) / "dumps"


def store_at(place: str | Path, key: str) -> Store:
    """The store of a key at a place, a folder or a URL."""
    return Bucket(f"{place}/{key}") if is_url(place) else Folder(Path(place) / key)


def check_store() -> None:
    """Raise InputError where DRILLCORE_STORE cannot be written to, before anything is computed."""
    if not is_url(location()):
        space.writable(Path(location()))
        return
    url = f"{location()}/probe-{secrets.token_hex(8)}"
    with explained(location()):
        fs, path = filesystem(url)
        fs.pipe_file(path, b"")
        fs.rm_file(path)
