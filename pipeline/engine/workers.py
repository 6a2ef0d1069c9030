"""The actors of one call: which of them are there, what they work on, and what becomes of the items of those that die.

Ray starts an actor anew when its process or its node has died, where there is room. It would also repeat the actor's
items, but in that actor only, and there may be no room for it. So an item that was lost goes back, and to whoever is
free; an actor gets items again once it answers.
"""

import os
import secrets
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import ObjectLostError, RayActorError, RayTaskError

from pipeline.base.errors import InputError
from pipeline.engine import worker
from pipeline.engine.dealing import Deal

AT_ONCE = 2
"""items that an actor holds: it begins the second while the result of the first is written or fetched"""
AHEAD = 4
"""items for each actor that may be under way or wait for an earlier one"""
PATIENCE = 1.0
"""seconds between two questions to an actor that is away"""
WAITING = 15.0
"""seconds without any actor after which that is said"""
DEATHS = 3
"""workers that an item may end before it is taken for the reason"""
TOKENS = Path(".drillcore/engine")
PASSED_ON = ("DRILLCORE_", "AWS_", "GOOGLE_", "HF_", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
"""beginnings of the variables that workers have from the driver, as an object of Ray, which writes them to no log"""


@dataclass(frozen=True)
class Failure:
    """What a function raised, in place of its result."""

    error: Exception


LOST = (RayActorError, ObjectLostError)
"""what Ray raises for an item whose actor, or whose result, is gone"""


@contextmanager
def place(threads: int) -> Iterator[worker.Place]:
    """What a worker must find, with a file that only those who see the driver's folder can read."""
    token = TOKENS / secrets.token_hex(8)
    token.parent.mkdir(parents=True, exist_ok=True)
    token.write_text(str(token))
    passed_on = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
    counts = {name: str(threads) for name in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS", "DRILLCORE_THREADS")}
    try:
        yield worker.Place(str(Path.cwd()), str(token), passed_on | counts)
    finally:
        token.unlink(missing_ok=True)


@dataclass(frozen=True)
class Kind:
    """What actors are alike in."""

    threads: int
    cpus: int
    gpus: int
    session: str
    """of Ray: another one after it was shut down"""


IDLE: dict[Kind, list[Any]] = {}
"""actors that have nothing to do: what they have imported, which takes seconds, is of use to the next call"""


def hired(kind: Kind, count: int) -> list[Any]:
    """So many actors: those that are idle, and new ones. Others that are idle give their places back."""
    idle = IDLE.pop(kind, [])
    for others in (idle[count:], *IDLE.values()):
        dismiss(others)
    IDLE.clear()
    ray.cloudpickle.register_pickle_by_value(worker)
    made = ray.remote(worker.Worker).options(
        num_cpus=kind.cpus, num_gpus=kind.gpus, max_restarts=-1, max_task_retries=0, max_concurrency=AT_ONCE + 1
    )
    return idle[:count] + [made.remote() for _ in range(count - len(idle))]


def dismiss(actors: Iterable[Any]) -> None:
    """End actors, and with them what they work on."""
    for actor in actors:
        with suppress(Exception):  # the cluster may be gone
            ray.kill(actor)


class Workers:
    """Some actors, each of which runs the function that `start` makes."""

    def __init__(self, start: Callable[[], Callable], where: worker.Place, count: int, kind: Kind, what: str) -> None:
        self.start, self.where, self.what, self.kind = [ray.put(start)], ray.put(where), what, kind
        self.actors = hired(kind, count)
        self.running: dict[ray.ObjectRef, tuple[int, int]] = {}
        """result -> actor and item, by number, in the order in which they were given"""
        self.asked: dict[ray.ObjectRef, int] = {}
        """answer -> actor"""
        self.ask_at = dict.fromkeys(range(count), 0.0)
        """actors that are away -> when they are asked again"""
        self.node: dict[int, str] = {}
        """of each actor, where it was last"""
        self.suspects: dict[int, int] = {}
        """actor -> the item at which it died"""
        self.lost: set[int] = set()
        """items that went down with an actor"""
        self.deaths: dict[int, int] = {}
        """item -> workers that it ended while their node lived on"""
        self.alone_since: float | None = time.monotonic()

    def feed(self, deal: Deal) -> None:
        """Give items to those that are there, first to those that have the fewest.

        One that was lost goes to an actor that has nothing else, so that it is known whether it is what ends actors.
        """
        load = {number: 0 for number in self.node if number not in self.ask_at and number not in self.asked.values()}
        for number, item in self.running.values():
            if number in load:
                load[number] += AT_ONCE if item in self.lost else 1
        for _ in range(AT_ONCE * len(load)):
            number = min(load, key=lambda actor: load[actor])
            if load[number] >= AT_ONCE or (load[number] and deal.returned) or (next_one := deal.take()) is None:
                return
            ref = self.actors[number].run.remote(self.where, self.start, deal.held[next_one])
            self.running[ref] = number, next_one
            load[number] += AT_ONCE if next_one in self.lost else 1

    def wait(self, deal: Deal) -> None:
        """Wait for results and answers, and note them. InputError for a machine without the folder."""
        self._ask()
        refs = [*self.running, *self.asked]
        if not refs:
            time.sleep(PATIENCE)
        for ref in ray.wait(refs, num_returns=1, timeout=PATIENCE)[0] if refs else ():
            if ref in self.asked:
                self._answered(self.asked.pop(ref), ref)
            elif ref in self.running:
                self._finished(ref, deal)
        self._say_where_nobody_is()

    def _ask(self) -> None:
        now = time.monotonic()
        for number in [number for number, due in self.ask_at.items() if due <= now]:
            del self.ask_at[number]
            self.asked[self.actors[number].ready.remote(self.where)] = number

    def _answered(self, number: int, ref: ray.ObjectRef) -> None:
        """An actor is there, or still away."""
        try:
            node, name, sees = ray.get(ref)
        except RayActorError:
            self.ask_at[number] = time.monotonic() + PATIENCE
            return
        if not sees:
            raise InputError(
                f"machine {name} of the Ray cluster does not see {Path.cwd()}, where this runs: put the project into a "
                "folder that all machines share, under the same path"
            )
        item = self.suspects.pop(number, None)
        if item is not None and self.node[number] in {each["NodeID"] for each in ray.nodes() if each["Alive"]}:
            self.deaths[item] = self.deaths.get(item, 0) + 1
            if self.deaths[item] == DEATHS:
                raise InputError(
                    f"{self.what}: item {item} ended its worker {DEATHS} times. It may need more memory than there is: "
                    "fewer workers (DRILLCORE_WORKERS) leave more for each, and Ray's logs say what happened"
                )
        self.node[number], self.alone_since = node, None

    def _finished(self, ref: ray.ObjectRef, deal: Deal) -> None:
        """An item has a result, or its actor has died with it."""
        number, item = self.running[ref]
        oldest = next(held for actor, held in self.running.values() if actor == number)
        del self.running[ref]
        try:
            deal.finish(item, ray.get(ref))
        except RayTaskError as error:  # raised in its turn: which of several is first depends on the workers
            known = isinstance(error.cause, InputError | OSError)  # a person is told of those in one line
            deal.finish(item, Failure(error.cause if known else error))
        except LOST:
            deal.give_back(item)
            self.lost.add(item)
            if (
                number not in self.ask_at and number not in self.asked.values()
            ):  # else an earlier item of it has said so
                self.ask_at[number] = time.monotonic() + PATIENCE
                self.suspects[number] = oldest  # of what it held: it begins no item before the last one has ended
                print(f"{self.what}: a worker was lost, and others do its work", file=sys.stderr)

    def _say_where_nobody_is(self) -> None:
        """Once for each time that all of them are away."""
        away = len(set(self.ask_at) | set(self.asked.values()))
        if away < len(self.actors):
            self.alone_since = None
        elif self.alone_since is None:
            self.alone_since = time.monotonic()
        elif 0 < self.alone_since < time.monotonic() - WAITING:
            print(f"{self.what}: no machine of the Ray cluster has room for a worker, waiting for one", file=sys.stderr)
            self.alone_since = -1.0

    def end(self) -> None:
        """Keep the actors that have nothing to do, and end the others."""
        busy = set(self.ask_at) | set(self.asked.values()) | {number for number, _ in self.running.values()}
        idle = [actor for number, actor in enumerate(self.actors) if number not in busy]
        for actor in idle:
            actor.forget.remote(self.start)
        IDLE.setdefault(self.kind, []).extend(idle)
        dismiss(actor for number, actor in enumerate(self.actors) if number in busy)
