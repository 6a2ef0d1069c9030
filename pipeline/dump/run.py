"""Run a model once over all sentences and keep hidden layers."""

import functools
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm
from transformers import PreTrainedModel

from pipeline.base.errors import InputError
from pipeline.dump import scratch, shards, space
from pipeline.dump.host import Host
from pipeline.dump.passes import Budget, Passes
from pipeline.dump.plan import ShardPlan
from pipeline.dump.shards import Receipt
from pipeline.dump.signals import finishing_first
from pipeline.dump.work import Work, work_of
from pipeline.dump.writer import Writer
from pipeline.models.devices import device_of
from pipeline.readouts.plain import PLAIN
from pipeline.readouts.readout import Readout

if TYPE_CHECKING:
    from pipeline.dump.settings import Dump


@dataclass(frozen=True)
class Places:
    """Where a dump goes, and where it is built."""

    out: Path
    """folder of the shards"""
    key: str
    """name of the folder in which they are built (contract C6)"""
    manifest: Path | None = None
    """that of an earlier dump is removed before `out` changes"""
    store: Path = scratch.STORE
    """where dumps are built, in a folder for each key"""


def dump(  # noqa: PLR0913 - what the bytes of a dump are made of
    model: PreTrainedModel,
    ids: Sequence[np.ndarray],
    sentence_ids: np.ndarray,
    settings: "Dump",
    places: Places,
    spans: np.ndarray | None = None,
    readout: Readout = PLAIN,
) -> dict[str, Any]:
    """Write the states of all sentences as shards of C3 (or statistics) -> what the manifest says of them.

    ids: S arrays (T,); sentence_ids: (S,); spans (S, 2): of each sentence the first token whose states are kept and the
    one after the last, None for all. Shards are built in a scratch folder named by the key and then hard-linked into
    `places.out`: a run that was stopped or killed goes on after the shards it had finished, another key never sees
    them, and the folder changes only once all are there. Computing runs ahead of writing by one record batch.

    Raises InterruptedError after SIGINT or SIGTERM; InputError for a full or too small disk, for a dump of the same key
    at the same time, and for states that are not finite or do not fit `settings.store`.
    """
    if not len(ids):
        raise InputError("there are no sentences to dump: the tokenize stage gave none")
    space.writable(places.out)
    work, built = work_of(model, ids, sentence_ids, settings, readout, spans), places.store / places.key
    with scratch.locked(built) as folder, space.full_disk_explained(folder), finishing_first() as stop:
        paths = [folder / f"shard-{number:05d}.arrow" for number in range(len(work.shards))]
        earlier = [shards.finished(path) for path in paths]
        announce(work, earlier)
        have = sum(receipt["bytes"] for receipt in earlier if receipt)
        space.check_space(folder, max(0, work.total_bytes - have), places.out, work.total_bytes)
        receipts = write_missing(model, work, paths, earlier, stop)
        if places.manifest:
            places.manifest.unlink(missing_ok=True)
        scratch.publish(folder, [path.name for path in paths], places.out)
    return facts_of(work, [path.name for path in paths], receipts)


def announce(work: Work, earlier: Sequence[Receipt | None]) -> None:
    """Say on standard error how large a dump will be, and how much of it is there."""
    line = (
        f"{work.rows.sum():,} {work.keep.unit} x {len(work.layers)} layers x {work.dim}: "
        f"{work.total_bytes / 1e6:,.1f} MB in {len(work.shards)} shards"
    )
    if finished := sum(receipt is not None for receipt in earlier):
        line += f", {finished} of them finished before"
    print(line, file=sys.stderr)


def write_missing(
    model: PreTrainedModel,
    work: Work,
    paths: Sequence[Path],
    earlier: Sequence[Receipt | None],
    stop: Callable[[], str | None],
) -> list[Receipt]:
    """Write the shards that have no receipt of an earlier run -> the receipts of all.

    Raises InterruptedError after the shard at hand when `stop` gives a reason to.
    """
    finished = [receipt for receipt in earlier if receipt]
    if len(finished) == len(earlier):
        return finished
    host = Host(work.schema, work.largest_record, device_of(model))
    budget = Budget(max(work.settings.batch_tokens, int(work.lengths.max())))
    passes = Passes(
        model, work.readout, work.ids, work.layers, work.keep, work.settings.store, host, budget, work.spans
    )
    written: dict[int, Future[Receipt]] = {}
    tokens = int(work.lengths.sum())
    with (
        tqdm(total=tokens, unit="tok", unit_scale=True, desc="dump", mininterval=1, disable=None) as progress,
        Writer() as writer,
    ):
        for number, (shard, path) in enumerate(zip(work.shards, paths)):
            if earlier[number]:
                progress.update(work.read_for(shard))
            else:
                writer.open(path, work.schema)
                write_shard(shard, work, passes, writer, progress.update)
                written[number] = writer.finish()
            if reason := stop():
                writer.wait()
                raise InterruptedError(
                    f"stopped by {reason} after shard {number + 1} of {len(paths)}, which {path.parent} keeps: "
                    "run again to go on"
                )
    return [receipt or written[number].result() for number, receipt in enumerate(earlier)]


def write_shard(
    shard: ShardPlan, work: Work, passes: Passes, writer: Writer, progress: Callable[[int], object]
) -> None:
    """Run the record batches of a shard and hand them to the writer."""
    for record in shard:
        columns, ready = passes.run(record, progress)
        writer.put(ready, functools.partial(work.index, record), columns)


def facts_of(work: Work, names: Sequence[str], receipts: Sequence[Receipt]) -> dict[str, Any]:
    """What the manifest says of the shards (`pipeline.formats.manifest`)."""
    return {
        "readout": str(work.readout),
        "layers": work.layers,
        "dim": work.dim,
        "keep": work.settings.keep,
        "store": work.settings.store,
        "sentences": len(work.ids),
        "tokens": int(work.kept.sum()),
        "shards": [
            {
                "name": name,
                "sentences": sum(len(sentences) for record in shard for sentences in record),
                "tokens": work.tokens_of(shard),
                **receipt,
            }
            for name, shard, receipt in zip(names, work.shards, receipts)
        ],
    }
