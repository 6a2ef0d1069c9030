"""The files behind an entry: found on disk, fetched once from the hub or a URL that the entry names, and hashed."""

import hashlib
import http.client
import os
import shutil
import urllib.request
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

from pipeline.base.errors import InputError, first_line

DOWNLOADS = ".drillcore/downloads"


def local(path: str | Path, what: str) -> Path:
    """A path that must exist. Raises InputError with the absolute path looked at."""
    try:
        place = Path(path).expanduser()
    except RuntimeError as error:  # ~nobody
        raise InputError(f"{what}: {path} cannot be found ({error}). Mend `path` in catalog.yaml") from error
    if not place.exists():
        raise InputError(f"{what}: {path} does not exist (looked at {place.absolute()}). Mend `path` in catalog.yaml")
    return place


def snapshot(repo: str, revision: str | None, patterns: list[str], what: str) -> Path:
    """The local folder of a hub repository at a revision, downloaded if it is not cached. Python files are never
    fetched.

    Raises InputError when the hub cannot be reached and the files are not cached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repo, revision=revision, allow_patterns=patterns, ignore_patterns=["*.py"]))
    except HFValidationError as error:
        raise InputError(
            f"{what}: {repo!r} is no repository of the hub ({first_line(error)}): expected owner/name"
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise InputError(
            f"{what} needs {repo}@{revision or 'main'} from the Hugging Face hub, which did not answer "
            f"({first_line(error)}). Check the name and the network (HF_HUB_OFFLINE must not be 1), or download it "
            "elsewhere and give the folder as `path`"
        ) from error


def download(url: str, member: str | None = None, cache: str | Path = DOWNLOADS) -> Path:
    """Fetch a file named by the user once, into `cache`; with `member`, take that file out of the zip. Returns its
    path.
    """
    folder = Path(cache) / hashlib.sha256(url.encode()).hexdigest()[:16]
    target = folder / (member or url).rsplit("/", 1)[-1]
    if not target.name or url.endswith("/"):
        raise InputError(f"could not download {url}: it does not name a file")
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    whole, part = folder / url.rsplit("/", 1)[-1], folder / "part"
    try:
        if not whole.exists():
            with urllib.request.urlopen(url) as source, part.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
                announced = source.headers.get("Content-Length")
            if announced and part.stat().st_size != int(announced):
                raise OSError(f"{part.stat().st_size} of {announced} bytes came")
            part.rename(whole)
    except (OSError, ValueError, http.client.HTTPException) as error:  # ValueError: no URL
        raise InputError(
            f"could not download {url} ({first_line(error)}). Check the network, or download it elsewhere and give the "
            "file as `path`"
        ) from error
    if member:
        _unzip(whole, member, url, part)
        part.rename(target)
        whole.unlink()
    return target


def _unzip(whole: Path, member: str, url: str, part: Path) -> None:
    """One member of a downloaded zip as the file `part`."""
    if not zipfile.is_zipfile(whole):
        raise InputError(f"{url} is not a zip: leave `member` out if it is the file itself. It was kept as {whole}")
    try:
        with zipfile.ZipFile(whole) as archive:
            if member not in archive.namelist():
                names = ", ".join(archive.namelist()[:8])
                raise InputError(f"{url} has no {member!r}: it holds {names}. Mend `member` in catalog.yaml")
            with archive.open(member) as source, part.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
    except (zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"{whole}, from {url}, is a damaged zip ({error}): remove it, and it is fetched anew"
        ) from error


def digest(files: Iterable[Path]) -> str:
    """sha256 over the names and contents of files, in the order of their names: what C6 keys a checkpoint by."""
    total = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.name):
        with open(os.path.realpath(file), "rb") as handle:
            total.update(f"{file.name}\0{hashlib.file_digest(handle, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()
