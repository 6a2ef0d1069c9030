"""Where large results lie on this machine: DRILLCORE_STORE, a folder or a URL."""

import os
import re
import secrets
from pathlib import Path

from pipeline.base.errors import InputError
from pipeline.storage import space
from pipeline.storage.bucket import Bucket
from pipeline.storage.contract import Store
from pipeline.storage.folder import Folder
from pipeline.storage.leases import Lease
from pipeline.storage.remote import explained, filesystem, is_url, make_folder

STORE = ".drillcore"
"""the folder, unless DRILLCORE_STORE says otherwise"""


def location() -> str:
    """The folder or the URL below which large results lie."""
    given = (os.environ.get("DRILLCORE_STORE") or STORE).rstrip("/").removeprefix("file://")
    return given if is_url(given) else os.path.expanduser(given)


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
    """Raise InputError where DRILLCORE_STORE cannot be a store, before anything is computed: an object is made there
    once, listed, read and removed.
    """
    place = location()
    if not is_url(place):
        if re.match(r"\w+(:|//)", place):
            raise InputError(f"DRILLCORE_STORE is {place!r}, expected a folder or a URL such as s3://bucket/folder")
        space.writable(Path(place))
        return
    if place.startswith("memory:"):
        raise InputError(f"DRILLCORE_STORE is {place!r}, which ends with this process: name a bucket or a folder")
    with explained(place):
        fs, root = filesystem(place)
        make_folder(fs, root)
        lease = Lease(fs, f"{root}/probe-{secrets.token_hex(8)}")
        lease.make()
        fs.ls(root)
        fs.cat_file(lease.path)
        fs.rm_file(lease.path)
