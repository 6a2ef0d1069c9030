"""The forward passes of a record batch, as many sentences at once as the device has memory for."""

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from transformers import PreTrainedModel

from pipeline.base.errors import InputError
from pipeline.dump.host import Host
from pipeline.dump.keep import Keep
from pipeline.dump.plan import Pass, RecordPlan
from pipeline.models.devices import device_of
from pipeline.readouts.readout import Readout

Read = Callable[[torch.Tensor, list[int]], list[torch.Tensor]]
"""token ids (B, T) and wanted layers -> each of them, (B, T, D)"""
Take = Callable[[int, list[torch.Tensor]], None]
"""called with the number of the first sentence of a pass, and its layers (B, T, D)"""


class Budget:
    """Tokens of a forward pass that the device has memory for.

    It starts as what the plan asks and is halved when memory runs out.
    """

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens

    def run(self, read: Read, ids: torch.Tensor, layers: list[int], take: Take) -> None:
        """Call `take` for the layers of ids (B, T), of all sentences at once or of as many as memory holds."""
        start, (count, length) = 0, ids.shape
        while start < count:
            size = max(1, min(count - start, self.tokens // length))
            try:
                take(start, read(ids[start : start + size], layers))
            except torch.OutOfMemoryError as error:
                if size == 1:
                    raise InputError(
                        f"one sentence of {length} tokens does not fit the memory of {_full(ids, error)}: "
                        "lower tokenize.max_tokens with truncate: true"
                    ) from error
                self.tokens = size * length // 2
                print(
                    f"out of memory on {_full(ids, error)}: going on with at most {self.tokens} tokens at once",
                    file=sys.stderr,
                )
            else:
                start += size
                continue
            torch.cuda.empty_cache()  # outside the handler, which keeps the failed pass alive


def _full(ids: torch.Tensor, error: torch.OutOfMemoryError) -> str:
    """The device whose memory ran out, which is not always that of the ids: a network may lie on several."""
    found = re.search(r"\bGPU (\d+)\b", str(error))
    return f"cuda:{found[1]}" if found else str(ids.device)


@dataclass(frozen=True)
class Passes:
    """All that a forward pass needs but its sentences."""

    model: PreTrainedModel
    readout: Readout
    ids: Sequence[np.ndarray]
    """token ids of each sentence, S arrays (T,)"""
    layers: list[int]
    """numbers of the layers that are kept"""
    keep: Keep
    store: str
    """type of the stored states, float16 or float32"""
    host: Host
    budget: Budget
    spans: np.ndarray | None = None
    """of each sentence the first token that is kept, and the one after the last, (S, 2); None: all are"""

    def run(self, record: RecordPlan, progress: Callable[[int], object]) -> tuple[list[np.ndarray], Callable[[], None]]:
        """Run a record batch -> its columns in memory of the host, and a function that waits for them and checks them.

        The columns are written over when a record batch after the next is run. `progress` is called with the tokens of
        each pass.
        """
        columns, peaks, row = self.host.next_set(), _Peaks(), 0
        for sentences in record:
            row += self._run_pass(sentences, [column[row:] for column in columns], peaks)
            progress(sum(len(self.ids[sentence]) for sentence in sentences))
        largest = self.host.empty(len(self.layers))
        self.host.copy(largest, peaks.largest())
        arrived = self.host.arrived()

        def ready() -> None:
            arrived()
            check_range(largest, self.layers, self.store)

        return [column[:row].numpy() for column in columns], ready

    def _run_pass(self, sentences: Pass, columns: list[torch.Tensor], peaks: "_Peaks") -> int:
        """Run sentences of one length and span, copy what is kept of them to the beginning of columns -> their rows."""
        whole = (0, len(self.ids[sentences[0]]))
        begin, end = whole if self.spans is None else self.spans[sentences[0]].tolist()
        rows = int(self.keep.rows(np.array([end - begin]))[0])
        ids = torch.as_tensor(np.stack([self.ids[i] for i in sentences]), dtype=torch.long)
        ids = ids.to(device_of(self.model))
        dtype = getattr(torch, self.store)

        def take(first: int, layers: list[torch.Tensor]) -> None:
            if self.readout.shape is None:  # a vector for each token, and not one state of the whole text
                layers = [layer[:, begin:end] for layer in layers]
            peaks.note(layers)
            targets = iter(columns)
            for layer in layers:
                for kept in self.keep.columns(layer, dtype):
                    start = first * rows
                    self.host.copy(next(targets)[start : start + len(kept)], kept)

        self.budget.run(partial(self.readout.read, self.model), ids, self.layers, take)
        return len(sentences) * rows


class _Peaks:
    """The largest absolute value of each layer, before it is rounded; NaN where there is one."""

    def __init__(self) -> None:
        self.of_passes: list[torch.Tensor] = []

    def note(self, layers: list[torch.Tensor]) -> None:
        """Take the layers of a pass into account; nothing waits for the device."""
        peaks = [torch.linalg.vector_norm(layer, torch.inf) for layer in layers]
        self.of_passes.append(torch.stack([peak.to(peaks[0].device) for peak in peaks]).float())

    def largest(self) -> torch.Tensor:
        """(layers,) on the device of the first."""
        return torch.stack(self.of_passes).amax(0)


def check_range(peaks: torch.Tensor, layers: list[int], store: str) -> None:
    """Raise InputError for the first layer whose largest absolute value does not fit the stored type, or is not finite.

    peaks: (layers,) on the host; layers: their numbers.
    """
    limit = torch.finfo(getattr(torch, store)).max
    for layer, peak in zip(layers, peaks.tolist()):
        if not np.isfinite(peak):
            raise InputError(
                f"layer {layer} holds NaN or infinity before it is stored: the weights or dump.dtype are at fault"
            )
        if peak > limit:
            raise InputError(
                f"layer {layer} reaches {peak:.6g}, above the {limit:g} of {store}: set dump.store to float32"
            )
