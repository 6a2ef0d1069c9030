"""What a dump keeps of a sentence: `dump.keep` names an entry of KEEPS."""

from typing import Protocol

import numpy as np
import pyarrow as pa
import torch

from pipeline.dump.plan import RECORD_ROWS
from pipeline.formats import recurrent, states, statistics


class Keep(Protocol):
    """A kind of dump: what its rows are, and what its columns hold."""

    unit: str
    """what a row is, in the plural"""
    record_rows: int
    """a record batch is closed at about so many rows"""

    def schema(self, layers: list[int], shape: tuple[int, ...], store: str) -> pa.Schema:
        """Two columns of the index, then those of each layer; shape: that of a vector (D,) or of a state (H, N, M)."""
        ...

    def rows(self, lengths: np.ndarray) -> np.ndarray:
        """Rows that sentences of these lengths take, (S,) -> (S,)."""
        ...

    def columns(self, layer: torch.Tensor, dtype: torch.dtype) -> list[torch.Tensor]:
        """One layer of B sentences, (B, T, D), or their states (B, H, N, M) -> its columns, each of as many rows as the
        sentences take.
        """
        ...

    def index(self, sentence_ids: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The two columns of the index of sentences (S,)."""
        ...


class Tokens:
    """dump.keep: tokens. A row is a token (contract C3)."""

    unit, record_rows = "tokens", RECORD_ROWS

    def schema(self, layers: list[int], shape: tuple[int, ...], store: str) -> pa.Schema:
        """sentence_id, position, and the state at each layer."""
        return states.schema(layers, shape[0], store)

    def rows(self, lengths: np.ndarray) -> np.ndarray:
        """One for each token."""
        return lengths

    def columns(self, layer: torch.Tensor, dtype: torch.dtype) -> list[torch.Tensor]:
        """The states, (B T, D); they are rounded when they are copied to the host."""
        return [layer.reshape(-1, layer.shape[-1])]

    def index(self, sentence_ids: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """sentence_id and position of each token."""
        positions = [np.arange(length, dtype=np.int32) for length in lengths]
        return np.repeat(sentence_ids, lengths), np.concatenate(positions)


class Pooled:
    """dump.keep: pooled. A row is a sentence (`pipeline.formats.statistics`)."""

    unit, record_rows = "sentences", RECORD_ROWS

    def schema(self, layers: list[int], shape: tuple[int, ...], store: str) -> pa.Schema:
        """sentence_id, tokens, and the statistics of each layer."""
        return statistics.schema(layers, shape[0], store)

    def rows(self, lengths: np.ndarray) -> np.ndarray:
        """One for each sentence."""
        return np.ones_like(lengths)

    def columns(self, layer: torch.Tensor, dtype: torch.dtype) -> list[torch.Tensor]:
        """The statistics, (B, D) or (B,), of states rounded to the stored type."""
        return statistics.of(layer, dtype)

    def index(self, sentence_ids: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """sentence_id and number of tokens of each sentence."""
        return sentence_ids, lengths.astype(np.int32)


class State:
    """dump.keep: state. A row is a sentence (`pipeline.formats.recurrent`)."""

    unit, record_rows = "sentences", 256  # a row has megabytes, and a record batch is in memory

    def schema(self, layers: list[int], shape: tuple[int, ...], store: str) -> pa.Schema:
        """sentence_id, tokens, and the recurrent state of each layer."""
        return recurrent.schema(layers, shape, store)

    def rows(self, lengths: np.ndarray) -> np.ndarray:
        """One for each sentence."""
        return np.ones_like(lengths)

    def columns(self, layer: torch.Tensor, dtype: torch.dtype) -> list[torch.Tensor]:
        """The states, (B, H N M); they are rounded when they are copied to the host."""
        return [layer.flatten(1)]

    def index(self, sentence_ids: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """sentence_id and number of tokens of each sentence."""
        return sentence_ids, lengths.astype(np.int32)


KEEPS: dict[str, Keep] = {"tokens": Tokens(), "pooled": Pooled(), "state": State()}


def bytes_of_row(schema: pa.Schema) -> int:
    """Bytes of one row of a shard."""
    return sum(_bytes_of(field.type) for field in schema)


def _bytes_of(kind: pa.DataType) -> int:
    if pa.types.is_fixed_size_list(kind):
        return kind.value_type.bit_width // 8 * kind.list_size
    return kind.bit_width // 8
