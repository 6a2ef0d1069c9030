"""The loss of what is learned: CoSENT (Su 2022, kexue.fm/archives/8847).

    log(1 + sum over pairs i, j with label_i > label_j of exp(scale (cos_j - cos_i)))

A smooth count of wrongly ordered pairs: it is minimised by what AUC and Spearman's rho measure, knows no margin, and
takes 0/1 labels and grades alike.
"""

import torch


def ordered(labels: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """Which pairs i, j a run orders: labels (P,), kept (P, R) bool -> (P, P, R) bool.

    True where label_i > label_j and the run learns from both.
    """
    return (labels[:, None] > labels)[..., None] & kept[None] & kept[:, None]


def cosent(cosines: torch.Tensor, ordered: torch.Tensor, scale: float) -> torch.Tensor:
    """The loss of each of R runs: cosines (P, R), `ordered` (P, P, R) -> (R,). 0 where nothing is ordered."""
    wrong = scale * (cosines[None] - cosines[:, None])  # cos_j - cos_i, (P, P, R)
    wrong = wrong.masked_fill(~ordered, -torch.inf).flatten(0, 1)
    return torch.logsumexp(torch.cat([wrong.new_zeros(1, wrong.shape[1]), wrong]), dim=0)
