"""Memory of the host that layers are copied to behind the computation."""

from collections.abc import Callable

import pyarrow as pa
import torch


class Host:
    """Two sets of columns that take turns: one is filled while the other is written.

    Where the device is a GPU they are page-locked, and each GPU that has layers fills them on a stream of its own, so
    that computing, copying and writing overlap.
    """

    def __init__(self, schema: pa.Schema, rows: int, device: torch.device) -> None:
        self.locks_pages = device.type == "cuda"
        self.streams: dict[torch.device, torch.cuda.Stream] = {}
        self.sets = [[self._empty(field.type, rows) for field in list(schema)[2:]] for _ in range(2)]
        self.turn = 0

    def _empty(self, kind: pa.DataType, rows: int) -> torch.Tensor:
        """Room for a column: states are (rows, D) in the stored type, other figures (rows,) in float32."""
        if not pa.types.is_fixed_size_list(kind):
            return self.empty(rows)
        dtype = torch.float16 if kind.value_type == pa.float16() else torch.float32
        return self.empty(rows, kind.list_size, dtype=dtype)

    def empty(self, *shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """Room without values yet, page-locked where that is of use."""
        return torch.empty(shape, dtype=dtype, pin_memory=self.locks_pages)

    def next_set(self) -> list[torch.Tensor]:
        """The set of columns whose turn it is, one for each column of the schema after the index."""
        self.turn = 1 - self.turn
        return self.sets[self.turn]

    def copy(self, target: torch.Tensor, source: torch.Tensor) -> None:
        """Copy to the host and to the type of the target; from a GPU this returns before it is done."""
        if not source.is_cuda:
            target.copy_(source)
            return
        if source.device not in self.streams:
            self.streams[source.device] = torch.cuda.Stream(source.device)
        stream, source = self.streams[source.device], source.to(target.dtype)
        stream.wait_stream(torch.cuda.current_stream(source.device))
        with torch.cuda.stream(stream):
            target.copy_(source, non_blocking=True)
            source.record_stream(stream)

    def arrived(self) -> Callable[[], None]:
        """A function that returns once all copies so far are there."""
        events = [stream.record_event() for stream in self.streams.values()]

        def wait() -> None:
            for event in events:
                event.synchronize()

        return wait
