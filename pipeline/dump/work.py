"""What a dump will write, known before anything runs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from transformers import PreTrainedModel

from pipeline.base.errors import InputError
from pipeline.dump.keep import KEEPS, Keep, bytes_of_row
from pipeline.dump.plan import Plan, RecordPlan, ShardPlan, plan_shards, sentences_of
from pipeline.formats.ragged import Ragged
from pipeline.models.layers import depth_of, layer_numbers
from pipeline.readouts.readout import Readout

if TYPE_CHECKING:  # what settings say is in the key by value, so their code is not among that which decides the bytes
    from pipeline.dump.settings import Dump


@dataclass(frozen=True)
class Work:
    """The shards of a plan, and all that is needed to fill them but the model: S sentences."""

    settings: "Dump"
    readout: Readout
    ids: Ragged
    """token ids, S arrays (T,)"""
    sentence_ids: np.ndarray
    """(S,)"""
    spans: np.ndarray
    """of each sentence the first token that is kept, and the one after the last, (S, 2)"""
    layers: list[int]
    """numbers of the layers that are kept"""
    dim: int
    """width of a vector of the readout; of plain the hidden size"""
    keep: Keep
    schema: pa.Schema
    shards: Plan
    rows: int
    """of all sentences"""
    largest_record: int
    """rows of the largest record batch"""

    @property
    def total_bytes(self) -> int:
        """Size of all rows."""
        return self.rows * bytes_of_row(self.schema)

    def kept(self, sentences: np.ndarray) -> np.ndarray:
        """Tokens of some sentences that are kept, indices (n,) -> (n,)."""
        return self.spans[sentences, 1] - self.spans[sentences, 0]

    def tokens_of(self, shard: ShardPlan) -> int:
        """Tokens of the sentences of a shard that are kept."""
        return int(self.kept(sentences_of(shard)).sum())

    def read_for(self, shard: ShardPlan) -> int:
        """Tokens that the network reads for a shard."""
        return int(self.ids.lengths_at(sentences_of(shard)).sum())

    def name(self, number: int) -> str:
        """The file of a shard: names sort in the order of the plan."""
        return f"shard-{number:05d}.arrow"

    def index(self, record: RecordPlan) -> tuple[np.ndarray, np.ndarray]:
        """The first two columns of a record batch."""
        sentences = np.concatenate(record)
        return self.keep.index(self.sentence_ids[sentences], self.kept(sentences))


@dataclass(frozen=True)
class Sizes:
    """What a plan needs to know of a network, which need not be where the plan is made."""

    depth: int
    """its blocks"""
    shape: tuple[int, ...]
    """of what the readout reads of a token, (D,), or of a sentence, (H, N, M)"""


def sizes_of(model: PreTrainedModel, readout: Readout) -> Sizes:
    """The sizes of a network that is here."""
    return Sizes(depth_of(model), readout.shape_of(model))


def work_of(
    sizes: Sizes,
    ids: Sequence[np.ndarray],
    sentence_ids: np.ndarray,
    settings: "Dump",
    readout: Readout,
    spans: np.ndarray | None = None,
) -> Work:
    """The work of a dump. It depends on the sizes, the settings, and lengths and spans of the sentences alone.

    spans (S, 2): what is kept of each sentence; None: all its tokens.
    """
    if not len(ids):
        raise InputError("there are no sentences to dump: the tokenize stage gave none")
    assert str(readout) == ("state" if settings.keep == "state" else settings.readout), "it is what the key says"
    layers, keep = layer_numbers(settings.layers, sizes.depth, readout.first), KEEPS[settings.keep]
    schema = keep.schema(layers, sizes.shape, settings.store)
    ids = Ragged.of(ids)
    lengths = ids.lengths.astype(np.int32)  # a large corpus has as many as sentences
    spans = np.column_stack([np.zeros_like(lengths), lengths]) if spans is None else spans
    rows = keep.rows(spans[:, 1] - spans[:, 0])
    shard_rows = max(1, settings.shard_mb * 10**6 // bytes_of_row(schema))
    plan = plan_shards(lengths, rows, settings.batch_tokens, shard_rows, spans, keep.record_rows)
    dim, of_records = math.prod(sizes.shape), plan.rows_of_records(rows)
    total, largest = int(of_records.sum()), int(of_records.max())
    return Work(settings, readout, ids, sentence_ids, spans, layers, dim, keep, schema, plan, total, largest)
