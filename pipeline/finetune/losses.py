"""Losses of a batch of pairs: LOSSES, a name of finetune.loss -> a function of their vectors.

Each takes the vectors of the first and of the second sentences (P, D), a Batch and the scale s = 1 / temperature, and
gives one number. c_ij is the cosine of the first sentence of pair i and the second of pair j.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from pipeline.fit import losses as fit_losses


@dataclass(frozen=True)
class Batch:
    """What a loss knows of P pairs."""

    labels: torch.Tensor
    """(P,) float"""
    component: torch.Tensor
    """(P,) int; pairs of one component share a sentence, directly or over others"""
    positive: torch.Tensor
    """(P,) bool: which are paraphrases"""


Loss = Callable[[torch.Tensor, torch.Tensor, Batch, float], torch.Tensor]


def cosines(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Vectors (P, D) and (Q, D) -> (P, Q)."""
    return F.normalize(first, dim=-1) @ F.normalize(second, dim=-1).T


def in_batch_negatives(first: torch.Tensor, second: torch.Tensor, batch: Batch, scale: float) -> torch.Tensor:
    """The second sentences of the other paraphrases are the negatives of a first one, and the other way round.

    - log exp(s c_ii) / sum over j of exp(s c_ij), the mean over paraphrases i and both directions (InfoNCE, arXiv
    1807.03748; multiple negatives ranking, arXiv 1705.00652). Pairs j of i's own component are left out: they may be
    paraphrases as well.
    """
    return _contrast(first, second, batch, scale, with_labelled=False)


def labelled_negatives(first: torch.Tensor, second: torch.Tensor, batch: Batch, scale: float) -> torch.Tensor:
    """`in_batch_negatives` whose denominators hold exp(s c_kk) of every pair k that is labelled no paraphrase too."""
    return _contrast(first, second, batch, scale, with_labelled=True)


def _contrast(
    first: torch.Tensor, second: torch.Tensor, batch: Batch, scale: float, with_labelled: bool
) -> torch.Tensor:
    at = torch.nonzero(batch.positive)[:, 0]
    if len(at) == 0:
        return (first * 0).sum() + (second * 0).sum()
    logits = scale * cosines(first[at], second[at])  # (P, P)
    component = batch.component[at]
    related = (component[:, None] == component) & ~torch.eye(len(at), dtype=torch.bool, device=component.device)
    logits = logits.masked_fill(related, -torch.inf)
    target = torch.arange(len(at), device=logits.device)
    losses = []
    for direction in (logits, logits.T):
        if with_labelled:
            negative = scale * F.cosine_similarity(first[~batch.positive], second[~batch.positive], dim=-1)
            direction = torch.cat([direction, negative.expand(len(at), -1)], dim=1)
        losses.append(F.cross_entropy(direction, target))
    return (losses[0] + losses[1]) / 2


def cosent(first: torch.Tensor, second: torch.Tensor, batch: Batch, scale: float) -> torch.Tensor:
    """log(1 + sum over pairs i, j with label_i > label_j of exp(s (c_jj - c_ii))), as in `fit`; labels or grades."""
    every = torch.ones(len(batch.labels), 1, dtype=torch.bool, device=batch.labels.device)
    pairs = F.cosine_similarity(first, second, dim=-1)[:, None]
    return fit_losses.cosent(pairs, fit_losses.ordered(batch.labels, every), scale)[0]


def simcse(first: torch.Tensor, second: torch.Tensor, batch: Batch, scale: float) -> torch.Tensor:
    """Two readings of each sentence under dropout, the others of the batch as negatives (arXiv 2104.08821).

    Its equation 4: - log exp(s c_ii) / sum over j of exp(s c_ij), the mean over sentences i. No labels are used.
    """
    logits = scale * cosines(first, second)
    return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))


LOSSES: dict[str, Loss] = {
    "in_batch_negatives": in_batch_negatives,
    "labelled_negatives": labelled_negatives,
    "cosent": cosent,
    "simcse": simcse,
}
"""the names of settings.LOSSES"""
