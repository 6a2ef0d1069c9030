"""A large result in a store, and in its place a small file that says where it is and what is in it."""

import hashlib
import json
from pathlib import Path

from pipeline.base.errors import InputError
from pipeline.base.files import write_json
from pipeline.storage.fetched import fetched
from pipeline.storage.places import location
from pipeline.storage.remote import abort_uploads, explained, filesystem, is_url, put


def put_away(path: Path, kind: str) -> None:
    """Where the store is a URL, move a file there, below `kind`, and leave a pointer: url, bytes, sha256.

    It is found there by its sha256, so no file ever changes.
    """
    root = location()
    if not is_url(root):
        return
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    url, size = f"{root}/{kind}/{sha256}/{path.name}", path.stat().st_size
    with explained(url):
        fs, there = filesystem(url)
        if not (fs.exists(there) and fs.info(there)["size"] == size):
            put(fs, there, path, size)
            abort_uploads(fs, there.rsplit("/", 1)[0])
    write_json(path, {"url": url, "bytes": size, "sha256": sha256})


def followed(path: str | Path, stage: str) -> Path:
    """The file that a pointer of a stage (such as pool@demo) stands for, fetched; any other file as it is."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            if file.read(1) != b"{":
                return path
        found = json.loads(path.read_text(encoding="utf-8"))
        url, size, sha256 = str(found["url"]), int(found["bytes"]), str(found["sha256"])
    except FileNotFoundError:
        return path
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is no pointer to a file of a store: make it again with: dvc repro -f -s {stage}"
        ) from error
    return fetched(url, size, sha256, stage)
