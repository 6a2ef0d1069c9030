"""Cosines of pairs in a form that can be differentiated, for R runs at once."""

import torch


def attend(h: torch.Tensor, mask: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
    """Padded states (S, T, D), mask (S, T), queries (R, D) -> (S, R, D): `pool.learned.attention` for R queries."""
    logits = h @ query.T / h.shape[-1] ** 0.5  # (S, T, R)
    alpha = torch.softmax(logits.masked_fill(~mask[..., None], -torch.inf), dim=1)
    return alpha.transpose(1, 2) @ h


def scaled_cosines(a: torch.Tensor, b: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Means (P, D) of both sentences, scales (R, D) -> (P, R): cosines of scale * a and scale * b."""
    ab, aa, bb = (x @ scale.square().T for x in (a * b, a * a, b * b))
    return ab / (aa * bb).sqrt().clamp_min(1e-30)


def mixed_cosines(a: torch.Tensor, b: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Means (P, L, D) in units of their layers, weights (R, L) -> (P, R): cosines of softmax mixes of the layers."""
    mixed_a, mixed_b = (torch.einsum("pld,rl->prd", x, torch.softmax(weights, dim=1)) for x in (a, b))
    return torch.cosine_similarity(mixed_a, mixed_b, dim=-1)
