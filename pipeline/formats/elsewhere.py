"""A dump whose shards lie in a store: each is fetched when one of its record batches is used, or the one before is."""

import bisect
import itertools
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any, overload

import pyarrow as pa

from pipeline.base.errors import InputError, first_line
from pipeline.storage.bucket import MANIFEST
from pipeline.storage.fetched import fetched
from pipeline.storage.remote import explained, filesystem


class Batches(Sequence[pa.RecordBatch]):
    """The record batches of all shards below a URL, in their order. One shard is open at a time.

    shards: what the manifest says of them; stage: what made them, such as dump@demo.
    """

    def __init__(self, url: str, shards: Sequence[dict[str, Any]], stage: str) -> None:
        self.url, self.shards, self.stage = url, shards, stage
        self.starts = [0, *itertools.accumulate(shard["batches"] for shard in shards)]
        self.open: tuple[int, pa.RecordBatchFileReader] | None = None

    def __len__(self) -> int:
        return self.starts[-1]

    @overload
    def __getitem__(self, at: int) -> pa.RecordBatch: ...
    @overload
    def __getitem__(self, at: slice) -> list[pa.RecordBatch]: ...
    def __getitem__(self, at: int | slice) -> pa.RecordBatch | list[pa.RecordBatch]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        at = range(len(self))[at]
        number = bisect.bisect_right(self.starts, at) - 1
        if self.open is None or self.open[0] != number:
            self.open = number, self._opened(number)
            Thread(target=self._fetch_ahead, args=[number + 1], daemon=True).start()
        return self.open[1].get_batch(at - self.starts[number])

    def _opened(self, number: int) -> pa.RecordBatchFileReader:
        while True:
            with suppress(FileNotFoundError):  # another process has dropped it meanwhile
                return pa.ipc.open_file(pa.memory_map(str(self._fetched(number))))

    def _fetched(self, number: int) -> Path:
        shard = self.shards[number]
        return fetched(f"{self.url}/{shard['name']}", shard["bytes"], shard["sha256"], self.stage)

    def _fetch_ahead(self, number: int) -> None:
        """Have a shard here before it is asked for. What fails then is said when it is asked for."""
        if number < len(self.shards):
            with suppress(Exception):
                self._fetched(number)

    def indices(self) -> Iterator[pa.RecordBatch]:
        """The first two columns of every record batch, without the others: those alone are fetched."""
        options = pa.ipc.IpcReadOptions(included_fields=[0, 1])
        for shard in self.shards:
            url = f"{self.url}/{shard['name']}"
            fs, path = filesystem(url)
            with self._damage_explained(url), fs.open(path, "rb", cache_type="none") as file:
                reader = pa.ipc.open_file(pa.PythonFile(file, mode="r"), options=options)
                for i in range(reader.num_record_batches):
                    yield reader.get_batch(i)

    @contextmanager
    def _damage_explained(self, url: str) -> Iterator[None]:
        again = f"make it again (dvc repro -f -s {self.stage})"
        try:
            with explained(url, missing=again):
                yield
        except pa.ArrowException as error:
            raise InputError(f"{url} is no whole shard ({first_line(error)}): remove it there, then {again}") from error


def manifest_at(url: str, stage: str) -> dict[str, Any]:
    """What the store itself says of the shards below a URL, which a stage (such as dump@demo) made."""
    fs, path = filesystem(f"{url}/{MANIFEST}")
    again = f"make it again (dvc repro -f -s {stage})"
    with explained(f"{url}/{MANIFEST}", missing=again):
        text = fs.cat_file(path)
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"{url}/{MANIFEST} is no manifest ({error}): {again}") from error
