"""The files behind an entry: found on disk, fetched once from the hub or a URL that the entry names, and hashed."""

import hashlib
import http.client
import os
import shutil
import sys
import urllib.request
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

from pipeline.base.errors import InputError, first_line
from pipeline.base.files import write_text

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


def config_file(folder: Path, what: str) -> Path:
    """The config.json of a folder, of which random weights are to be. InputError where there is none."""
    if not (file := folder / "config.json").exists():
        raise InputError(
            f"{what} is to have random weights of the config in {folder}, which has no config.json: give `config` with "
            "model_type and sizes instead, and a `tokenizer`"
        )
    return file


def snapshot(repo: str, revision: str | None, patterns: list[str], what: str) -> Path:
    """The local folder of a hub repository at a revision, a commit at best (`revisions.commit_of`), downloaded if it is
    not cached. Python files are never fetched.

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


def download(url: str, member: str | None = None, sha256: str | None = None, cache: str | Path = DOWNLOADS) -> Path:
    """Fetch a file named by the user once, into `cache`; with `member`, take that file out of the zip. Returns its
    path.

    sha256: of the file as it comes, before `member` is taken out. Without it, that of a new file is printed on standard
    error. Raises InputError where the file has another one: a new file is not kept then, and one of an earlier run is
    not used.
    """
    folder = Path(cache) / hashlib.sha256(url.encode()).hexdigest()[:16]
    target = folder / (member or url).rsplit("/", 1)[-1]
    if not target.name or url.endswith("/"):
        raise InputError(f"could not download {url}: it does not name a file")
    whole, part, note = folder / url.rsplit("/", 1)[-1], folder / "part", folder / f"{target.name}.sha256"
    earlier = next((file for file in (target, whole) if file.exists()), None)
    if earlier is not None and (earlier == whole or note.exists() or sha256 is None):
        _check_earlier(earlier, note, url, sha256)
    else:  # nothing is here, or a member whose zip is gone, and no note of what it was
        folder.mkdir(parents=True, exist_ok=True)
        _get(url, part)
        write_text(note, _checked(part, url, sha256))
        part.rename(whole)
    if member and whole.exists():
        _unzip(whole, member, url, part)
        part.rename(target)
        whole.unlink()
    return target


def _get(url: str, part: Path) -> None:
    """What a URL gives as the file `part`."""
    try:
        with urllib.request.urlopen(url) as source, part.open("wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
            announced = source.headers.get("Content-Length")
        if announced and part.stat().st_size != int(announced):
            raise OSError(f"{part.stat().st_size} of {announced} bytes came")
    except (OSError, ValueError, http.client.HTTPException) as error:  # ValueError: no URL
        raise InputError(
            f"could not download {url} ({first_line(error)}). Check the network, or download it elsewhere and give the "
            "file as `path`"
        ) from error


def _checked(part: Path, url: str, sha256: str | None) -> str:
    """The sha256 of a file that has just come. Raises InputError, and removes it, where it is not the wanted one."""
    found = _sha256(part)
    if sha256 is None:
        print(
            f"{url} has sha256 {found}. To notice if it ever gives something else, put this beside `url` in "
            f"catalog.yaml: sha256: {found}",
            file=sys.stderr,
        )
    elif found != sha256:
        part.unlink()
        raise InputError(
            f"{url} has sha256 {found}, expected {sha256}: it was replaced or damaged, and is not kept. Try again; if "
            "this is the file that you want, put its sha256 into catalog.yaml"
        )
    return found


def _check_earlier(file: Path, note: Path, url: str, sha256: str | None) -> None:
    """Raise InputError where a file of an earlier run did not come with the wanted sha256, which was noted then."""
    if sha256 is None:
        return
    found = note.read_text() if note.exists() else _sha256(file)
    if found != sha256:
        raise InputError(
            f"{file} was downloaded from {url} with sha256 {found}, expected {sha256}. Mend `sha256` in catalog.yaml, "
            f"or remove {file.parent} to download it again"
        )


def _sha256(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


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
