"""A thread that writes shards while the next record batch is computed."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pipeline.dump.shards import Shard
from pipeline.formats import states

if TYPE_CHECKING:  # where a shard lies decides none of its bytes
    from pipeline.storage.contract import Claim, Receipt

Index = Callable[[], tuple[np.ndarray, np.ndarray]]
"""makes the two columns of the index"""


class Writer:
    """One job at a time: the next waits for it, so that memory of the host is never filled while it is written.

    A shard that is closed is published by a thread of its own, which may have to upload it; the next one is written
    meanwhile, and closed when it is published. An error in a thread is raised by a later step, or by what `finish`
    gives.
    """

    def __init__(self) -> None:
        self.thread, self.publisher = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self.job: Future[Any] | None = None
        self.published: Future[Receipt] | None = None
        self.shard: Shard | None = None

    def _hand_over(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        if self.job:
            self.job.result()
        self.job = self.thread.submit(function, *arguments)
        return self.job

    def open(self, claim: "Claim", schema: pa.Schema) -> None:
        """Begin a shard that was claimed."""
        self.shard, self.schema = Shard(claim, schema), schema

    def put(self, ready: Callable[[], None], index: Index, columns: list[np.ndarray]) -> None:
        """Have a record batch written: wait until it is `ready`, make its index, write both."""

        def write(shard: Shard, schema: pa.Schema) -> None:
            ready()
            shard.write(states.record_batch([*index(), *columns], schema))

        self._hand_over(write, self.shard, self.schema)

    def finish(self) -> "Future[Receipt]":
        """Have the shard closed and published -> its receipt, once that is done."""
        assert self.shard is not None
        if self.published:
            self.published.result()
        shard, closed = self.shard, self._hand_over(Shard.close, self.shard)
        self.shard = None  # what fails from here on is cleared away by it
        self.published = self.publisher.submit(lambda: shard.publish(closed.result()))
        return self.published

    def abandon(self) -> None:
        """Remove what there is of a shard that was begun and will not be finished; what was closed is published."""
        wait([job for job in (self.job, self.published) if job])
        if self.shard:
            self.shard.abandon()
        self.shard = None
