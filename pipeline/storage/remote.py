"""A store in the sense of fsspec: a bucket, or what else has a URL. What it refuses becomes one clear line."""

import errno
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.base.errors import InputError, did_you_mean, first_line

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
def explained(url: str) -> Iterator[None]:
    """Turn what a place refuses into one line with its URL. A full disk of this machine stays what it is."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(
            f"{url} is not there ({first_line(error)}): make the bucket, or correct DRILLCORE_STORE"
        ) from error
    except PermissionError as error:
        raise InputError(
            f"{url} refuses us ({first_line(error)}): look at the credentials, which are found as the tools of the "
            "place find them (AWS_PROFILE, AWS_ENDPOINT_URL ...), and at what they allow"
        ) from error
    except Exception as error:
        of_client = type(error).__module__.split(".")[0] in CLIENTS
        of_disk = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        if of_disk or not (of_client or isinstance(error, OSError)):
            raise
        raise InputError(f"{url} cannot be used: {first_line(error)}. What is there is kept: run again") from error


def put(fs: Any, path: str, source: Path, size: int) -> None:
    """Upload a file so that it appears whole or not at all. OSError where it then has another size.

    An object store shows an object once it is complete; elsewhere it is uploaded under another name and then moved.
    """
    protocols = [fs.protocol] if isinstance(fs.protocol, str) else fs.protocol
    whole = any(protocol in WHOLE for protocol in protocols)
    target = path if whole else f"{path}.{secrets.token_hex(4)}.part"
    if not whole:
        fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
    fs.put_file(str(source), target)
    if not whole:
        fs.mv(target, path)
    if (found := fs.info(path)["size"]) != size:
        raise OSError(f"it has {found} of {size} bytes after its upload")
