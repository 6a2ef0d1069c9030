"""The bytes of one shard: what runs here is named in `key.CODE`, and so is all that it imports."""

import functools
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

from transformers import PreTrainedModel

from pipeline.dump.host import Host
from pipeline.dump.passes import Budget, Passes
from pipeline.dump.work import Work
from pipeline.dump.writer import Writer
from pipeline.models.devices import device_of

if TYPE_CHECKING:  # where a shard lies decides none of its bytes
    from pipeline.storage.contract import Claim, Receipt


class Maker:
    """Makes shards one after another. Computing runs ahead of writing by one record batch, also across shards.

    progress: called with the tokens of each pass.
    """

    def __init__(self, model: PreTrainedModel, work: Work, progress: Callable[[int], object]) -> None:
        host = Host(work.schema, work.largest_record, device_of(model))
        budget = Budget(max(work.settings.batch_tokens, int(work.ids.lengths.max())))
        self.passes = Passes(
            model, work.readout, work.ids, work.layers, work.keep, work.settings.store, host, budget, work.spans
        )
        self.work, self.progress, self.writer = work, progress, Writer()

    def make(self, number: int, claim: "Claim") -> "Future[Receipt]":
        """Make a shard that was claimed -> its receipt, once it is published.

        Raises what this shard raises, or what the one before did in its last steps; neither leaves anything then.
        """
        self.writer.open(claim, self.work.schema)
        try:
            for record in self.work.shards[number]:
                columns, ready = self.passes.run(record, self.progress)
                self.writer.put(ready, functools.partial(self.work.index, record), columns)
            return self.writer.finish()
        except BaseException:
            self.writer.abandon()
            raise
