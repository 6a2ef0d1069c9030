"""The states and means of the sentences of n pairs, and their cosines by any parameters."""

import numpy as np
import torch

from pipeline.fit.cosines import attend
from pipeline.fit.sentences import Sentences, means_of

PARTS = 4
"""of a batch, by length, so that little is padded"""


class PairStates:
    """Means are held; states are read from the mapped file, a layer of a batch of pairs at a time."""

    def __init__(
        self, sentences: Sentences, sentence1: np.ndarray, sentence2: np.ndarray, device: torch.device
    ) -> None:
        self.sentences, self.device, self.layers = sentences, device, sentences.layers
        self.ids, where = np.unique(np.stack([sentence1, sentence2]), return_inverse=True)
        self.first, self.second = where.reshape(2, -1)
        """(n,) numbers of the pairs' sentences in `ids`"""
        computed = means_of(sentences, self.ids)
        self.means = computed.means.to(device)
        """(S, L, D)"""
        self.spread = computed.spread.to(device)
        """(L, D) standard deviation of each dimension over tokens"""
        self.size = self.means.square().mean((0, 2)).sqrt().clamp_min(1e-30)
        """(L,) root mean square of a layer's vectors"""

    def means_of_pairs(self, pairs: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Some pairs (P,) -> the means of their first and of their second sentences, (P, L, D) each."""
        first, second = (torch.from_numpy(side[pairs]).to(self.device) for side in (self.first, self.second))
        return self.means[first], self.means[second]

    def attended(self, layer: int, queries: torch.Tensor, pairs: np.ndarray) -> torch.Tensor:
        """Queries (R, D) of a layer and some pairs (P,) -> cosines (P, R)."""
        rows, where = np.unique(np.concatenate([self.first[pairs], self.second[pairs]]), return_inverse=True)
        order = np.argsort(self.sentences.lengths(self.ids[rows]), kind="stable")
        pooled = []
        for part in np.array_split(order, min(PARTS, len(order))):
            h, mask = self.sentences.padded(layer, self.ids[rows[part]])
            pooled.append(attend(h.to(self.device).float(), mask.to(self.device), queries))
        vectors = torch.cat(pooled)  # (S, R, D), the shortest sentence first
        at = torch.from_numpy(np.argsort(order)[where]).to(self.device)
        # not vectors[at]: its gradient is summed in another order from run to run
        first, second = (vectors.index_select(0, side) for side in at.split(len(pairs)))
        return torch.cosine_similarity(first, second, dim=-1)
