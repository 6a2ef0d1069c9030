"""A store in the sense of fsspec: a bucket, or what else has a URL. What it refuses becomes one clear line."""

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pipeline.base.errors import InputError, did_you_mean, first_line
from pipeline.storage.space import FULL

EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
"""protocol -> the optional dependency of ours that brings it"""
KNOWN = ("s3", "gs", "abfs", "sftp", "smb", "hdfs")
"""protocols that a message names"""
WHOLE = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss")
"""protocols of object stores, which show an object once it is complete"""
OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {
        # botocore's own retries, of what is refused (500, 503) and what is cut; each waits longer, 20 s at most
        "config_kwargs": {"retries": {"mode": "standard", "max_attempts": 10}},
        "max_concurrency": 4,  # parts of 50 MB are in memory at once
    },
}
PART = 16 * 2**20
"""bytes of a file that one request brings"""
PARTS = 4
"""requests at once, whose parts are in memory"""
CLIENTS = ("botocore", "aiobotocore", "aiohttp", "gcsfs", "google", "azure", "asyncio", "paramiko")
"""libraries whose errors are about the place, and not mistakes of ours"""


def is_url(place: object) -> bool:
    """Whether a place is a URL and not a path."""
    return "://" in str(place)


def filesystem(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it. InputError for an unknown protocol, or one that is not installed.

    Credentials and servers are found as the tools of the place find them: AWS_PROFILE, AWS_ENDPOINT_URL and so on.
    """
    import fsspec

    protocol = url.split("://")[0]
    options = OPTIONS.get(protocol.replace("s3a", "s3"), {})
    try:
        fs, path = fsspec.core.url_to_fs(url, use_listings_cache=False, **options)
    except ValueError as error:
        if "rotocol not known" not in str(error):
            raise InputError(f"{url} is no URL of a store: {first_line(error)}") from error
        raise InputError(
            f"{url}: no protocol {protocol!r}, {did_you_mean(protocol, KNOWN)}, or another of fsspec's"
        ) from error
    except ImportError as error:
        extra = EXTRAS.get(protocol)
        remedy = f"pip install -c constraints.txt -e '.[{extra}]'" if extra else first_line(error)
        raise InputError(f"{url} needs a package that is not installed: {remedy}") from error
    if EXTRAS.get(protocol) == "s3":
        with explained(url):
            _send_at_once(fs)
    return fs, path


def _send_at_once(fs: Any) -> None:
    """Let S3's client send a body without asking first (Expect: 100-continue): where no answer comes, aiohttp waits for
    it without end. Once it is sent, the client's usual time limit holds.
    """
    from botocore.handlers import add_expect_header

    fs.s3.meta.events.unregister("before-call.s3", add_expect_header)


@contextmanager
def explained(url: str, missing: str = "make the bucket, or correct DRILLCORE_STORE") -> Iterator[None]:
    """Turn what a place refuses into one line with its URL. A full disk of this machine stays what it is.

    missing: the remedy where something is not there.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"{url} is not there ({first_line(error)}): {missing}") from error
    except PermissionError as error:
        raise InputError(
            f"{url} refuses us ({first_line(error)}): look at the credentials, which are found as the tools of the "
            "place find them (AWS_PROFILE, AWS_ENDPOINT_URL ...), and at what they allow"
        ) from error
    except Exception as error:
        of_client = type(error).__module__.split(".")[0] in CLIENTS
        of_disk = isinstance(error, OSError) and error.errno in FULL
        if of_disk or not (of_client or isinstance(error, OSError)):
            raise
        raise InputError(
            f"{url} cannot be used: {first_line(error)}. What is there is kept: run again, or correct where "
            "it is looked for (DRILLCORE_STORE, AWS_ENDPOINT_URL ...)"
        ) from error


def is_whole(fs: Any) -> bool:
    """Whether a place is an object store: it shows a file once it is complete, and has no folders."""
    protocols = [fs.protocol] if isinstance(fs.protocol, str) else fs.protocol
    return any(protocol in WHOLE for protocol in protocols)


def make_folder(fs: Any, folder: str) -> None:
    """Make a folder where a place has any."""
    if not is_whole(fs):
        fs.makedirs(folder, exist_ok=True)


def put(fs: Any, path: str, source: Path, size: int) -> None:
    """Upload a file so that it appears whole or not at all. OSError where it then has another size.

    An object store shows an object once it is complete; elsewhere it is uploaded under another name and then moved.
    """
    whole = is_whole(fs)
    target = path if whole else f"{path}.{secrets.token_hex(4)}.part"
    make_folder(fs, path.rsplit("/", 1)[0])
    try:
        fs.put_file(str(source), target)
    except FileNotFoundError:
        # The answer to the last step of an upload in parts was lost, so the client has asked again, for what is over.
        fs.put_file(str(source), target)
    if not whole:
        fs.mv(target, path)
    if (found := fs.info(path)["size"]) != size:
        raise OSError(f"it has {found} of {size} bytes after its upload")


def abort_uploads(fs: Any, folder: str) -> None:
    """Remove what uploads in parts to a folder of S3 have left that nobody completed, if we may. Nobody sees it, but it
    is paid for; other places remove it themselves.
    """
    if not hasattr(fs, "list_multipart_uploads"):
        return
    bucket, key, _ = fs.split_path(folder)
    with suppress(OSError):  # it is not allowed, a server does not know how, or another worker has done it
        found = fs.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=f"{key}/")
        for upload in found.get("Uploads", []):
            fs.call_s3("abort_multipart_upload", Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])


def get(fs: Any, path: str, target: Path, size: int) -> str:
    """Download a file of so many bytes -> the sha256 of what came.

    It comes in parts, since a client repeats a part whose connection ends, and not a large file.
    """
    sha256 = hashlib.sha256()
    with target.open("wb") as file:
        for first in range(0, size, PARTS * PART):
            starts = list(range(first, min(first + PARTS * PART, size), PART))
            ends = [min(start + PART, size) for start in starts]
            for data in fs.cat_ranges([path] * len(starts), starts, ends, on_error="raise"):
                file.write(data)
                sha256.update(data)
    return sha256.hexdigest()


def contents(fs: Any, paths: Sequence[str]) -> list[bytes | None]:
    """What small files hold; None for one that is not there."""
    nothing = [None] * len(paths)
    found = fs.cat_ranges(list(paths), nothing, nothing, on_error="return") if paths else []
    for answer in found:
        if isinstance(answer, Exception) and not isinstance(answer, FileNotFoundError):
            raise answer
    return [None if isinstance(answer, Exception) else answer for answer in found]
