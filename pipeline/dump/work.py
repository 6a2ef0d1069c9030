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
from pipeline.dump.plan import RecordPlan, ShardPlan, plan_shards, rows_of, sentences_of
from pipeline.formats.ragged import lengths_of
from pipeline.models.layers import depth_of, layer_numbers
from pipeline.readouts.readout import Readout

if TYPE_CHECKING:  # what settings say is in the key by value, so their code is not among that which decides the bytes
    from pipeline.dump.settings import Dump


@dataclass(frozen=True)
class Work:
    """The shards of a plan, and all that is needed to fill them but the model: S sentences."""

    settings: "Dump"
    readout: Readout
    ids: Sequence[np.ndarray]
    """token ids, S arrays (T,)"""
    sentence_ids: np.ndarray
    """(S,)"""
    spans: np.ndarray
    """of each sentence the first token that is kept, and the one after the last, (S, 2)"""
    lengths: np.ndarray
    """tokens of each sentence that the network reads, (S,)"""
    kept: np.ndarray
    """tokens of each sentence that are kept, (S,)"""
    rows: np.ndarray
    """rows of each sentence, (S,)"""
    layers: list[int]
    """numbers of the layers that are kept"""
    dim: int
    """width of a vector of the readout; of plain the hidden size"""
    keep: Keep
    schema: pa.Schema
    shards: list[ShardPlan]

    @property
    def total_bytes(self) -> int:
        """Size of all rows."""
        return int(self.rows.sum()) * bytes_of_row(self.schema)

    @property
    def largest_record(self) -> int:
        """Rows of the largest record batch."""
        return max(rows_of(record, self.rows) for shard in self.shards for record in shard)

    def tokens_of(self, shard: ShardPlan) -> int:
        """Tokens of the sentences of a shard that are kept."""
        return int(self.kept[sentences_of(shard)].sum())

    def read_for(self, shard: ShardPlan) -> int:
        """Tokens that the network reads for a shard."""
        return int(self.lengths[sentences_of(shard)].sum())

    def name(self, number: int) -> str:
        """The file of a shard: names sort in the order of the plan."""
        return f"shard-{number:05d}.arrow"

    def index(self, record: RecordPlan) -> tuple[np.ndarray, np.ndarray]:
        """The first two columns of a record batch."""
        sentences = np.concatenate(record)
        return self.keep.index(self.sentence_ids[sentences], self.kept[sentences])


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
    lengths = lengths_of(ids)
    spans = np.column_stack([np.zeros_like(lengths), lengths]) if spans is None else spans
    kept = spans[:, 1] - spans[:, 0]
    rows = keep.rows(kept)
    shard_rows = max(1, settings.shard_mb * 10**6 // bytes_of_row(schema))
    plan = plan_shards(lengths, rows, settings.batch_tokens, shard_rows, spans, keep.record_rows)
    dim = math.prod(sizes.shape)
    return Work(settings, readout, ids, sentence_ids, spans, lengths, kept, rows, layers, dim, keep, schema, plan)
