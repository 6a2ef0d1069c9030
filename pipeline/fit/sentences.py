"""The token states of a dump by sentence, and their means."""

from dataclasses import dataclass

import numpy as np
import torch

from pipeline.formats import states
from pipeline.formats.dumps import States

SENTENCES_AT_ONCE = 128
"""whose states are held at once for the means"""


class Sentences:
    """Random access by sentence to a dump of tokens, by memory map."""

    def __init__(self, dump: States) -> None:
        self.layers = list(dump.layers)
        self.views = {
            layer: [states.layer(batch, name) for batch in dump.batches] for layer, name in dump.layers.items()
        }
        """layer -> of each record batch (tokens, D), a view of the file"""
        self.dim = self.views[self.layers[0]][0].shape[1]
        size = 1 + int(dump.sentence_ids().max())
        self.batch, self.first, self.stop = np.zeros((3, size), dtype=np.int64)
        """of each sentence_id: number of its record batch, its first row there, the row after its last"""
        for number, batch in enumerate(dump.batches):
            ids, starts = states.sentence_starts(batch)
            self.batch[ids], self.first[ids], self.stop[ids] = number, starts[:-1], starts[1:]

    def lengths(self, ids: np.ndarray) -> np.ndarray:
        """Tokens of sentences (S,) -> (S,)."""
        return self.stop[ids] - self.first[ids]

    def padded(self, layer: int, ids: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """States of sentences at a layer -> (S, T, D) with zeros behind short ones, mask (S, T).

        In the stored type: torch converts to float32 many times faster than NumPy.
        """
        views, lengths = self.views[layer], self.lengths(ids)
        h = np.zeros((len(ids), lengths.max(), self.dim), dtype=views[0].dtype)
        rows = zip(self.batch[ids].tolist(), self.first[ids].tolist(), self.stop[ids].tolist())
        for padded, (batch, first, stop) in zip(h, rows):
            padded[: stop - first] = views[batch][first:stop]
        return torch.from_numpy(h), torch.from_numpy(np.arange(h.shape[1]) < lengths[:, None])


@dataclass(frozen=True)
class Means:
    """Mean-pooled sentences at every layer, and how their tokens vary."""

    means: torch.Tensor
    """(S, L, D) float32"""
    spread: torch.Tensor
    """(L, D) float32, the standard deviation of each dimension over all tokens"""


def means_of(sentences: Sentences, ids: np.ndarray, at_once: int = SENTENCES_AT_ONCE) -> Means:
    """The means of sentences (S,) in bounded memory."""
    order = np.argsort(sentences.lengths(ids), kind="stable")
    parts = np.array_split(order, max(1, len(order) // at_once))
    means, spread = torch.empty(len(ids), len(sentences.layers), sentences.dim), []
    for k, layer in enumerate(sentences.layers):
        total = squares = torch.zeros(sentences.dim, dtype=torch.float64)
        count = 0
        for part in parts:
            stored, mask = sentences.padded(layer, ids[part])
            h = stored.float()
            means[part, k] = h.sum(1) / mask.sum(1, keepdim=True)
            total, squares = total + h.sum((0, 1)).double(), squares + h.square().sum((0, 1)).double()
            count += int(mask.sum())
        variance = squares / count - (total / count).square()
        spread.append(variance.clamp_min(1e-12 * float(variance.max()) + 1e-30).sqrt().float())
    return Means(means, torch.stack(spread))
