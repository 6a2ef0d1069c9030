"""Functions for workers: a module, since a worker imports what it is sent."""

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from pipeline.base.errors import InputError


@dataclass(frozen=True)
class Times:
    """A table times the item, after some seconds; which processes made which items is noted in a folder."""

    table: np.ndarray
    notes: str
    seconds: dict[int, float]
    together: int = 0
    """so many processes must have started before an item is made"""

    def __call__(self) -> Callable[[int], np.ndarray]:
        """The function; that it was made is noted too."""
        (Path(self.notes) / f"start-{os.getpid()}").touch()
        return self.of

    def of(self, item: int) -> np.ndarray:
        """The same."""
        while len(list(Path(self.notes).glob("start-*"))) < self.together:
            time.sleep(0.01)
        time.sleep(self.seconds.get(item, 0.0))
        with (Path(self.notes) / f"{item}").open("a") as file:
            file.write(f"{os.getpid()}\n")
        return self.table * item


@dataclass(frozen=True)
class Bad:
    """Fails at some items: {item: exception}; dies at others, in so many processes."""

    errors: dict[int, str]
    deadly: dict[int, int]
    notes: str

    def __call__(self) -> Callable[[int], int]:
        """The function."""
        return self.of

    def of(self, item: int) -> int:
        """The same."""
        if item in self.errors:
            raise (InputError if self.errors[item] == "input" else ValueError)(
                f"item {item} is {item}, expected another"
            )
        deaths = list(Path(self.notes).glob(f"death-{item}-*"))
        if len(deaths) < self.deadly.get(item, 0):
            (Path(self.notes) / f"death-{item}-{os.getpid()}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return item


@dataclass(frozen=True)
class Promised:
    """Promises results, and notes the order of what happens; item 99 fails later, 98 at once."""

    notes: str

    def __call__(self) -> Callable[[int], "Future[int]"]:
        """The function."""
        return partial(self.of, ThreadPoolExecutor(1))

    def of(self, thread: ThreadPoolExecutor, item: int) -> "Future[int]":
        """The same."""
        self.note(f"begin {item}")
        if item == 98:
            raise InputError("at once")
        return thread.submit(self.finish, item)

    def finish(self, item: int) -> int:
        """The result, later."""
        time.sleep(0.2)
        self.note(f"end {item}")
        if item == 99:
            raise InputError("later")
        return -item

    def note(self, line: str) -> None:
        """Write a line."""
        with (Path(self.notes) / "order").open("a") as file:
            file.write(f"{line}\n")


@dataclass(frozen=True)
class NoStart:
    """What cannot be started."""

    def __call__(self) -> Callable[[int], int]:
        """InputError."""
        raise InputError("nothing works: try another")


def folder() -> str:
    """Where a worker is."""
    return str(Path.cwd())
