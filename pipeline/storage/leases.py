"""A claim as an object that can be made once, in a store that has no locks; it ends unless it is renewed."""

import json
import os
import secrets
import socket
import time
from contextlib import suppress
from typing import Any

LEASE = 600.0
"""seconds after which a claim is free again that nobody has renewed: more than the slowest model of ours takes for a
record batch, and than a shard of 256 MB takes to upload at 0.5 MB/s
"""
TAKEN = ("PreconditionFailed", "ConditionalRequestConflict")
"""what S3 says of an object that is there, or is just being made by another"""
UNKNOWN = ("NotImplemented", "501")
"""what servers say that do not know how to make an object once"""
RENEWED = LEASE / 10
"""seconds after which a claim is renewed, with the next record batch"""

_seen: dict[str, tuple[bytes, float]] = {}
"""path of a claim -> what it said, and when we first saw it say that by our own clock: those of machines differ"""


class Lease:
    """A claim of ours, once `make` has made it."""

    def __init__(self, fs: Any, path: str) -> None:
        self.fs, self.path, self.token = fs, path, secrets.token_hex(8)
        self.renewed, self.held = time.monotonic(), False

    def _text(self) -> bytes:
        said = {"host": socket.gethostname(), "process": os.getpid(), "token": self.token, "time": time.time()}
        return json.dumps(said).encode()

    def make(self) -> bool:
        """Make the object, unless another worker has it -> whether it is ours. One that has ended makes way."""
        for _ in range(2):
            if self._created():
                self.held = True
                return True
            if is_held(self.fs, self.path):
                return False
            with suppress(FileNotFoundError):
                self.fs.rm_file(self.path)
        return False

    def _created(self) -> bool:
        try:
            self.fs.pipe_file(self.path, self._text(), mode="create")
        except OSError as error:
            if _answer(error) in UNKNOWN:
                return self._created_in_two_steps()
            if not _exists_already(error):
                raise
            return self._is_ours()  # the answer to a first try of the client may have been lost
        return True

    def _created_in_two_steps(self) -> bool:
        """Where a server refuses to make an object once: two workers may both be told that it is theirs."""
        if self.fs.exists(self.path):
            return self._is_ours()
        self.fs.pipe_file(self.path, self._text())
        return True

    def _is_ours(self) -> bool:
        try:
            return self.token.encode() in self.fs.cat_file(self.path)
        except FileNotFoundError:
            return False

    def renew(self) -> None:
        """We are still at it: it is written anew now and then."""
        if self.held and time.monotonic() - self.renewed > RENEWED:
            self.fs.pipe_file(self.path, self._text())
            self.renewed = time.monotonic()

    def release(self) -> None:
        """Give it back, unless another has taken it over."""
        if self.held:
            self.held = False
            if self._is_ours():
                self.fs.rm_file(self.path)


def is_held(fs: Any, path: str) -> bool:
    """Whether a worker has a claim: it was renewed within the last LEASE seconds, or since we have first seen it, and
    its process is not one of this machine that is gone.
    """
    try:
        said = fs.cat_file(path)
    except FileNotFoundError:
        return False
    before, when = _seen.get(path, (b"", 0.0))
    if said != before:
        when = time.monotonic()
        _seen[path] = said, when
    return time.monotonic() - when < LEASE and not _has_died(said)


def _has_died(said: bytes) -> bool:
    """Whether a claim is of a process of this machine that is gone."""
    with suppress(ValueError, KeyError, TypeError):
        found = json.loads(said)
        return is_gone(found["host"], int(found["process"]))
    return False


def is_gone(host: str, process: int) -> bool:
    """Whether a process of this machine is no more; of other machines we do not know."""
    if host == socket.gethostname():
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        except PermissionError:  # it is another user's
            return False
    return False


def _exists_already(error: OSError) -> bool:
    """Whether an object could not be made since there is one; some clients give the server's answer alone."""
    return isinstance(error, FileExistsError) or _answer(error) in TAKEN


def _answer(error: OSError) -> str | None:
    """The code that a server of S3 gave."""
    answer = getattr(error.__cause__, "response", None) or {}
    return answer.get("Error", {}).get("Code")
