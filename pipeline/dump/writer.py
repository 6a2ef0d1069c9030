"""A thread that writes shards while the next record batch is computed."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa

from pipeline.dump.shards import Receipt, Shard
from pipeline.formats import states

Index = Callable[[], tuple[np.ndarray, np.ndarray]]
"""makes the two columns of the index"""


class Writer:
    """One job at a time: the next waits for it, so that memory of the host is never filled while it is written.

    An error in the thread is raised where the next job is handed over, or at the end.
    """

    def __init__(self) -> None:
        self.thread = ThreadPoolExecutor(1)
        self.job: Future[Any] | None = None
        self.shard: Shard | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.wait()
        finally:
            self.thread.shutdown(cancel_futures=True)
            if self.shard:
                self.shard.abandon()

    def wait(self) -> None:
        """Wait for the job at hand. Raises what it raised."""
        if self.job:
            self.job.result()

    def _hand_over(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        self.wait()
        self.job = self.thread.submit(function, *arguments)
        return self.job

    def open(self, path: Path, schema: pa.Schema) -> None:
        """Begin a shard."""
        self.shard, self.schema = Shard(path, schema), schema

    def put(self, ready: Callable[[], None], index: Index, columns: list[np.ndarray]) -> None:
        """Have a record batch written: wait until it is `ready`, make its index, write both."""

        def write(shard: Shard, schema: pa.Schema) -> None:
            ready()
            shard.writer.write_batch(states.record_batch([*index(), *columns], schema))

        self._hand_over(write, self.shard, self.schema)

    def finish(self) -> Future[Receipt]:
        """Have the shard flushed and named -> its receipt, once that is done."""
        job = self._hand_over(Shard.finish, self.shard)
        self.shard = None  # what fails from here on is cleared away by `Shard.finish`
        return job
