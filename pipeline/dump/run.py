"""Run a model once over all sentences and keep hidden layers: shards are dealt out, made, and published together."""

import itertools
import sys
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm
from transformers import PreTrainedModel

from pipeline.dump.make import Maker
from pipeline.dump.publish import Places, facts_of, publish_once
from pipeline.dump.ranks import Rank
from pipeline.dump.settings import Dump
from pipeline.dump.signals import finishing_first
from pipeline.dump.work import Work, sizes_of, work_of
from pipeline.engine.local import LOCAL
from pipeline.readouts.plain import PLAIN
from pipeline.readouts.readout import Readout
from pipeline.storage import space
from pipeline.storage.contract import Receipt, Store

if TYPE_CHECKING:
    from pipeline.engine.engines import Engine

Made = Future[Receipt] | Future[None]
Make = Callable[[int], Made]
"""the number of a shard -> its receipt, once it is there; None while another worker has it"""


@dataclass(frozen=True)
class Shards:
    """What a worker starts from, wherever it runs: called, it loads the network and gives what makes a shard."""

    network: Callable[[], PreTrainedModel]
    """gives the network, on the device of the worker"""
    work: Work
    store: Store
    progress: Callable[[int], object] = lambda tokens: None
    """called with the tokens of each pass; not in another process"""
    earlier: Collection[int] = ()
    """shards that were finished before, which are no progress"""

    def __reduce__(self) -> tuple:
        return Shards, (self.network, self.work, self.store)

    def tokens(self, numbers: Iterable[int]) -> int:
        """Tokens that the network reads for these shards."""
        return sum(self.work.read_for(self.work.shards[number]) for number in numbers)

    def __call__(self) -> Make:
        """The function that claims a shard, and makes it unless it is there and what was written."""
        maker: list[Maker] = []  # the network is needed once something is missing

        def make(number: int) -> Made:
            claim = self.store.claim(self.work.name(number))
            receipt = claim and claim.finished()
            if claim is None or receipt:
                done: Future[Any] = Future()
                done.set_result(receipt)
                self.progress(self.tokens({number}.difference(self.earlier)))
                if claim:
                    claim.release()
                return done
            if not maker:
                maker.append(Maker(self.network(), self.work, self.progress))
            return maker[0].make(number, claim)

        return make


def dump(  # noqa: PLR0913 - what the bytes of a dump are made of
    model: PreTrainedModel,
    ids: Sequence[np.ndarray],
    sentence_ids: np.ndarray,
    settings: Dump,
    places: Places,
    spans: np.ndarray | None = None,
    readout: Readout = PLAIN,
) -> dict[str, Any]:
    """Write the states of all sentences as shards of C3 (or statistics) -> what the manifest says of them.

    ids: S arrays (T,); sentence_ids: (S,); spans (S, 2): of each sentence the first token whose states are kept and the
    one after the last, None for all. `fill` says how, and what it raises.
    """
    work = work_of(sizes_of(model, readout), ids, sentence_ids, settings, readout, spans)
    facts = fill(Shards(lambda: model, work, places.built), places)
    assert facts is not None, "a worker without a rank waits for all shards"
    return facts


def fill(
    start: Shards,
    places: Places,
    rank: Rank = Rank(),  # noqa: B008 - it is frozen
    engine: "Engine" = LOCAL,
) -> dict[str, Any] | None:
    """Make all shards of a work, or those of a rank, and publish them once all are there -> what the manifest says of
    them; None where shards of other ranks are missing.

    Any number of workers may fill one store at once. Each makes what no other has claimed, and waits at the end for
    what others have. A run that was stopped or killed goes on after the shards it had finished, another key never sees
    them, and `places.out` changes only once all are there.

    Raises InterruptedError after SIGINT or SIGTERM; InputError for a full or too small disk, for a store that is being
    cleared, and for states that are not finite or do not fit `settings.store`.
    """
    space.writable(places.out)
    work, store = start.work, start.store
    names = [work.name(number) for number in range(len(work.shards))]
    with store.held(), space.full_disk_explained(store.here), finishing_first() as stop:
        earlier = store.receipts(names)
        announce(work, len(earlier), rank)
        have = sum(receipt["bytes"] for receipt in earlier.values())
        store.check_space(max(0, work.total_bytes - have), places.out, work.total_bytes, work.settings.shard_mb * 10**6)
        todo = [number for number in rank.share(range(len(names))) if not (store.trusted and names[number] in earlier)]
        start = replace(start, earlier={number for number in todo if names[number] in earlier})
        made = make_all(start, todo, stop, engine)
        receipts = store.receipts(names) | {names[number]: receipt for number, receipt in made.items()}
        if missing := len(names) - len(receipts):
            print(f"rank {rank.number}: done; {missing} shards of other ranks are missing", file=sys.stderr)
            return None
        facts = facts_of(work, receipts)
        publish_once(places, facts)
    return facts


def announce(work: Work, finished: int, rank: Rank) -> None:
    """Say on standard error how large a dump will be, and how much of it is there."""
    line = (
        f"{work.rows:,} {work.keep.unit} x {len(work.layers)} layers x {work.dim}: "
        f"{work.total_bytes / 1e6:,.1f} MB in {len(work.shards)} shard{'s' * (len(work.shards) != 1)}"
    )
    if rank.world > 1:
        line += f", rank {rank.number} of {rank.world} makes {len(rank.share(range(len(work.shards))))}"
    print(line + (f", {finished} of them finished before" if finished else ""), file=sys.stderr)


def make_all(
    start: Shards, numbers: Sequence[int], stop: Callable[[], str | None], engine: "Engine"
) -> dict[int, Receipt]:
    """Make the shards of these numbers, or wait for other workers that do -> their receipts.

    What a worker leaves unmade that was killed is taken over. Raises InterruptedError, after the shard at hand, when
    `stop` gives a reason to.
    """
    work, store = start.work, start.store
    total, there = start.tokens(numbers), start.tokens(start.earlier)
    made: dict[int, Receipt] = {}
    with tqdm(
        total=total, initial=there, unit="tok", unit_scale=True, desc="dump", mininterval=1, disable=None
    ) as progress:
        todo, start = list(numbers), replace(start, progress=progress.update)
        while todo:
            made |= make_some(start, todo, stop, engine, progress)
            start = replace(start, progress=lambda tokens: None)  # it was counted
            elsewhere = [number for number in todo if number not in made]
            todo = wait_for(elsewhere, work, store, stop, made)
    return made


def make_some(
    start: Shards, numbers: Sequence[int], stop: Callable[[], str | None], engine: "Engine", progress: tqdm
) -> dict[int, Receipt]:
    """Make the shards of these numbers that no other worker has -> their receipts."""
    made: dict[int, Receipt] = {}
    wanted, tokens, last = itertools.takewhile(lambda number: not stop(), numbers), start.tokens(start.earlier), -1
    for number, receipt in zip(numbers, engine.each(start, wanted, "dump", unit="", network=True)):
        tokens += start.tokens({number}.difference(start.earlier))
        progress.update(max(0, tokens - progress.n))  # what another process has done; here it was counted pass by pass
        if receipt:
            made[number] = receipt
        last = number
    if reason := stop():
        raise stopped(reason, f"shard {last + 1} of {len(start.work.shards)}", start.store)
    return made


def wait_for(
    numbers: Sequence[int], work: Work, store: Store, stop: Callable[[], str | None], made: dict[int, Receipt]
) -> list[int]:
    """Wait until other workers have made their shards, whose receipts are added to `made` -> those that one left unmade
    and nobody has.
    """
    left, said = list(numbers), False
    while left:
        there = store.receipts([work.name(number) for number in left if not store.claimed(work.name(number))])
        free = [number for number in left if not store.claimed(work.name(number)) and work.name(number) not in there]
        made |= {number: there[work.name(number)] for number in left if work.name(number) in there}
        left = [number for number in left if number not in made]
        if free or not left:
            return free
        if not said:
            print(f"waiting for {len(left)} shards that other workers make", file=sys.stderr)
            said = True
        if reason := stop():
            raise stopped(reason, f"its own shards; {len(left)} are in the making elsewhere", store)
        time.sleep(store.poll)
    return []


def stopped(reason: str, after: str, store: Store) -> InterruptedError:
    """The error for a wish to stop that was granted."""
    return InterruptedError(f"stopped by {reason} after {after}, which {store} keeps: run again to go on")
