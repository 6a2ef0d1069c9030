"""A dump whose shards lie in a store: each is fetched when one of its record batches is used."""

import bisect
import itertools
import json
from collections.abc import Iterator, Sequence
from typing import Any, overload

import pyarrow as pa

from pipeline.base.errors import InputError
from pipeline.storage.bucket import MANIFEST
from pipeline.storage.fetched import fetched
from pipeline.storage.remote import explained, filesystem


class Batches(Sequence[pa.RecordBatch]):
    """The record batches of all shards below a URL, in their order. One shard is open at a time.

    shards: what the manifest says of them.
    """

    def __init__(self, url: str, shards: Sequence[dict[str, Any]]) -> None:
        self.url, self.shards = url, shards
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
            shard = self.shards[number]
            path = fetched(f"{self.url}/{shard['name']}", shard["bytes"], shard["sha256"])
            self.open = number, pa.ipc.open_file(pa.memory_map(str(path)))
        return self.open[1].get_batch(at - self.starts[number])

    def indices(self) -> Iterator[pa.RecordBatch]:
        """The first two columns of every record batch, without the others: those alone are fetched."""
        options = pa.ipc.IpcReadOptions(included_fields=[0, 1])
        for shard in self.shards:
            url = f"{self.url}/{shard['name']}"
            fs, path = filesystem(url)
            with explained(url), fs.open(path, "rb", cache_type="none") as file:
                reader = pa.ipc.open_file(pa.PythonFile(file, mode="r"), options=options)
                for i in range(reader.num_record_batches):
                    yield reader.get_batch(i)


def manifest_at(url: str) -> dict[str, Any]:
    """What the store itself says of the shards below a URL."""
    fs, path = filesystem(f"{url}/{MANIFEST}")
    with explained(url):
        text = fs.cat_file(path)
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"{url}/{MANIFEST} is no manifest ({error}): dump again") from error
