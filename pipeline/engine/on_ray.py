"""The engine `ray`: items go to actors of a Ray cluster, or of a Ray of this machine's cores alone.

RAY_ADDRESS names a cluster that runs; without it one is started here, which nothing outside this machine reaches and
which ends with this process. There is an actor for each GPU where a network runs and there are GPUs, else one for every
DRILLCORE_THREADS cores. DRILLCORE_WORKERS limits their number, and DRILLCORE_GPUS says how many GPUs one has.

These are Ray's actors and not Ray Data, which deals out blocks of rows: it names files by block and run, yields them in
the order in which they are ready, and sizes them by memory. We need a model loaded once for each actor, items whose
names and bytes no engine decides, and results in order. That is a queue of a hundred lines over actors.
"""

import logging
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice, repeat
from typing import Any, TypeVar

from pipeline.base.errors import InputError, first_line, needs_extra
from pipeline.base.machine import cgroup_quota
from pipeline.base.progress import bar
from pipeline.engine import address

ALONE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_worker_niceness": "0"}
"""for a Ray of our own, read when it is imported: it listens on the loopback only, and its workers count as much as
this process
"""

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # else it calls home
if not address.given():
    for name, value in ALONE.items():
        os.environ.setdefault(name, value)
with needs_extra("ray"):
    import ray

from pipeline.engine.dealing import Deal  # noqa: E402
from pipeline.engine.workers import AHEAD, Failure, Kind, Workers, place  # noqa: E402

Item = TypeVar("Item")
Result = TypeVar("Result")


def connect() -> None:
    """Connect to the cluster of RAY_ADDRESS, or start a Ray of this machine's cores. InputError where none answers."""
    if ray.is_initialized():
        return
    address.check()
    init = partial(ray.init, logging_level=logging.ERROR, log_to_driver=False)
    alone = address.given() in ("", "local")
    try:
        with own_signals():
            if alone:
                init(address="local", num_cpus=cores(), include_dashboard=False)
            else:
                init(address=address.given())
    except Exception as error:  # of any kind: one that starts too slowly is a plain Exception
        if alone:
            raise InputError(
                f"Ray does not start on this machine ({first_line(error)}): run again when less runs here, or with "
                "DRILLCORE_ENGINE=local"
            ) from error
        raise InputError(address.silence(error)) from error


@contextmanager
def own_signals() -> Iterator[None]:
    """Keep what this process does on signals, which Ray would change: a dump finishes its shards first."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    with suppress(ValueError):  # not the main thread, so that Ray left them alone too
        for number, handler in before.items():
            signal.signal(number, handler)


def cores() -> int:
    """Cores that this process may use."""
    allowed, quota = len(os.sched_getaffinity(0)), cgroup_quota()
    return max(1, allowed if quota is None else min(allowed, int(quota)))


def number_of(variable: str, default: int) -> int:
    """A positive number in the environment, or the default where there is none, or 0. InputError for anything else."""
    text = os.environ.get(variable) or "0"
    if not text.isdecimal():
        raise InputError(f"{variable} is {text!r}, expected a number such as {default}")
    return int(text) or default


def shape(network: bool) -> tuple[int, Kind]:
    """How many actors there are room for, and what each of them takes of its node. InputError for wrong variables."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    threads, gpus = number_of("DRILLCORE_THREADS", 1), number_of("DRILLCORE_GPUS", 1)
    device = os.environ.get("DRILLCORE_DEVICE", "")
    if network and device.startswith("cuda:"):
        raise InputError(f"DRILLCORE_DEVICE is {device!r}, but each worker has a GPU of its own: say cuda, or nothing")
    on_cpu = not network or device.startswith("cpu")
    of_gpus = 0 if on_cpu else sum(int(node.get("GPU", 0)) // gpus for node in nodes)
    of_cpus = sum(int(node.get("CPU", 0)) // threads for node in nodes)
    count = min(max(1, of_gpus or of_cpus), number_of("DRILLCORE_WORKERS", 10**6))
    return count, Kind(threads, 0, gpus, session()) if of_gpus else Kind(threads, threads, 0, session())


def session() -> str:
    """The cluster, and our job there."""
    context = ray.get_runtime_context()
    return f"{context.gcs_address} {context.get_job_id()}"


@dataclass(frozen=True)
class Once:
    """A function without an item, as one of an item."""

    function: Callable[[], Any]

    def __call__(self) -> Callable[[Any], Any]:
        """The function of an item that is not looked at."""
        return lambda _: self.function()


class Ray:
    """Items in actors; the methods are those of `engines.Engine`."""

    def each(
        self,
        start: Callable[[], Callable[[Item], Any]],
        items: Iterable[Item],
        what: str,
        unit: str = "it",
        sizes: Sequence[int] | None = None,
        network: bool = False,
    ) -> Iterator[Any]:
        """The results in order, of as many actors as there is room for."""
        rest, known = iter(items), items if isinstance(items, Sized) else sizes
        begun = list(islice(rest, 1))
        if not begun:  # Ray takes seconds to start
            return
        connect()
        count, kind = shape(network)
        count = count if known is None else min(count, len(known))
        deal: Deal[Item, Any] = Deal(chain(begun, rest), AHEAD * count)
        size = chain(sizes or (), repeat(1))
        with bar(items, what, unit, sizes) as shown, place(kind.threads) as where:
            workers = Workers(start, where, count, kind, what)
            try:
                while not deal.over:
                    workers.feed(deal)
                    for result in deal.in_order():
                        if isinstance(result, Failure):
                            raise result.error
                        yield result
                        shown.update(next(size))
                    if not deal.over:
                        workers.wait(deal)
            finally:
                workers.end()

    def once(self, function: Callable[[], Result], network: bool = False) -> Result:
        """The result of one actor."""
        (result,) = self.each(Once(function), [None], "worker", unit="", network=network)
        return result


RAY = Ray()
