"""What runs in an actor of Ray.

It is sent there by value and imports nothing of ours at the top: a machine that does not see our folder has to be able
to say so.
"""

import gc
import os
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import ray


@dataclass(frozen=True)
class Place:
    """What a worker finds where the driver is."""

    folder: str
    """the driver's"""
    token: str
    """a file in it, which has its own name inside: proof that it is this very folder"""
    environment: Mapping[str, str]
    """variables that are set before anything is imported"""


class Worker:
    """An actor: it makes a function when its first item comes, and keeps it."""

    def __init__(self) -> None:
        self.work: Callable[[Any], Any] | None = None
        self.made_of = ""
        self.turn = threading.Lock()

    def ready(self, place: Place) -> tuple[str, str, bool]:
        """Go to the driver's folder -> id and name of this node, and whether it sees that folder."""
        os.environ.update(place.environment)
        try:
            os.chdir(place.folder)
            with open(place.token) as file:
                sees = file.read() == place.token
        except OSError:
            sees = False
        return ray.get_runtime_context().get_node_id(), os.uname().nodename, sees

    def run(self, place: Place, start: list[ray.ObjectRef], item: Any) -> Any:
        """The result of an item. start: in a list, since Ray would fetch it, and import us, before we are there.

        Of the calls that run at once, one works. The next begins once it has its result, or a promise of it.
        """
        with self.turn:
            if self.work is None or self.made_of != start[0].hex():
                self.ready(place)  # a worker may have begun anew since it was asked
                self.work = None  # before another takes memory
                self.work, self.made_of = ray.get(start[0])(), start[0].hex()
            result = self.work(item)
        return result.result() if isinstance(result, Future) else result

    def forget(self, start: list[ray.ObjectRef]) -> None:
        """Give back the memory of the function that was made of this."""
        with self.turn:
            if self.made_of == start[0].hex():
                self.work = None
                gc.collect()
                if "torch" in sys.modules:
                    sys.modules["torch"].cuda.empty_cache()
