"""Measures of two layers of a model, from the vectors of the same sentences.

BETWEEN maps a name to a Measure whose function takes the vectors of all layers, (L, N, D), and returns (L, L).
"""

import numpy as np

from pipeline.geometry.measure import Measure

DIRECTIONS = 10
"""of a layer's subspace"""
NOTHING = 1e-10
"""a variance smaller than this, relative to the largest, is rounding"""


def u_centred(gram: np.ndarray) -> np.ndarray:
    """Gram matrices (..., N, N) -> the same without their diagonal, and so centred that products of two are unbiased.

    <A, B> / (N (N - 3)) is then the unbiased estimate of HSIC.
    """
    n = gram.shape[-1]
    gram = gram * (1 - np.eye(n))
    means = gram.sum(axis=-1) / (n - 2)
    means -= means.sum(axis=-1, keepdims=True) / (2 * (n - 1))
    return (gram - means[..., :, None] - means[..., None, :]) * (1 - np.eye(n))


def cka(layers: np.ndarray) -> np.ndarray:
    """(L, N, D) -> debiased linear CKA of all pairs, (L, L): HSIC(a, b) / sqrt(HSIC(a, a) HSIC(b, b)).

    NaN for a layer whose own HSIC is estimated as 0 or less: its vectors differ by no more than noise.
    """
    layers = layers - layers.mean(axis=1, keepdims=True)
    flat = u_centred(layers @ layers.swapaxes(1, 2)).reshape(len(layers), -1)
    products = flat @ flat.T
    own = np.where(np.diag(products) > 0, np.diag(products), np.nan)
    return products / np.sqrt(own[:, None] * own)


def principal_directions(layers: np.ndarray) -> np.ndarray:
    """(L, N, D) -> the first DIRECTIONS principal directions of each layer, (L, D, k), orthonormal.

    NaN for a layer whose vectors do not spread in so many: which are taken would be chance.
    """
    layers = layers - layers.mean(axis=1, keepdims=True)
    count = min(DIRECTIONS, layers.shape[2], layers.shape[1] - 1)
    is_tall = layers.shape[1] >= layers.shape[2]
    values, found = np.linalg.eigh(layers.swapaxes(1, 2) @ layers if is_tall else layers @ layers.swapaxes(1, 2))
    found = found[:, :, -count:]
    if not is_tall:
        found = np.linalg.qr(layers.swapaxes(1, 2) @ found)[0]
    enough = values[:, -count] > NOTHING * values[:, -1]
    return np.where(enough[:, None, None], found, np.nan)


def displacement(layers: np.ndarray) -> np.ndarray:
    """(L, N, D) -> sqrt(mean of squared principal angles) / 90 degrees between the subspaces of all pairs, (L, L)."""
    directions = principal_directions(layers)
    known = np.isfinite(directions).all(axis=(1, 2))
    directions = directions[known]
    cosines = np.linalg.svd(directions.swapaxes(1, 2)[:, None] @ directions[None], compute_uv=False)
    angles = np.arccos(np.clip(cosines, 0, 1))
    angles[cosines > 1 - 1e-14] = 0  # where the arc cosine makes 1e-8 of rounding
    found = np.full((len(layers), len(layers)), np.nan)
    found[np.ix_(known, known)] = np.sqrt(np.mean(angles**2, axis=-1)) / (np.pi / 2)
    return found


BETWEEN: dict[str, Measure] = {
    "cka": Measure(
        cka,
        "CKA with first layer",
        "HSIC(a, b) / sqrt(HSIC(a, a) HSIC(b, b)), linear kernel, unbiased estimates of HSIC",
        "center_gram(unbiased=True) and feature_space_linear_cka(debiased=True) of google-research's "
        "representation_similarity, as copied in several repositories",
        "",
        (-1, 1),
        "centred; not on a rotation or the scale of either layer; hardly on N, since it is debiased",
    ),
    "displacement": Measure(
        displacement,
        "Displacement from first layer",
        f"sqrt(mean theta^2) / 90 degrees, theta the angles between the spans of the first {DIRECTIONS} principal "
        "directions",
        "after arXiv 2605.12714, of which the abstract was read; the number of directions, the space of features and "
        "the scale to 0..1 are ours",
        "",
        (0, 1),
        "N: noise turns the subspaces and makes it larger; centred; on the basis that the residual stream keeps",
    ),
}
