"""Which layer to take when there are no labels: LOES (arXiv 2605.23033), its label-free variant.

After the authors' code (github arnesh2212/loes, commit 76d9993, task "label_free" of loes/api.py); of the paper itself
only what others say of it could be read. The first layer is the one of the most isotropic vectors. Each further one is
isotropic too, and unlike those before it. Their loader leaves out what enters the first block; here it is a candidate
like all others, since a choice by labels has it too.
"""

from collections.abc import Mapping

import numpy as np

SENTENCES = 512
"""so many train sentences at most are looked at, evenly spaced, as in the example of the authors' README"""
ALPHA, GAMMA, EPS, NORM_EPS = 1.0, 0.5, 1e-6, 1e-8
"""the weights of isotropy and redundancy, and what keeps quotients finite"""
WIDE = 512
"""above this width the authors take singular values, so directions without variance do not count"""


def isotropy(vectors: np.ndarray) -> float:
    """mean(l) / (sd(l) + 1e-6), l the eigenvalues of the covariance of vectors (n, D), divided by n.

    1e-6 is added to each up to D = 512, and each is at least that: vectors of a variance near it seem isotropic.
    """
    count, width = vectors.shape
    centred = vectors - vectors.mean(axis=0)
    gram = centred @ centred.T if count < width else centred.T @ centred
    eigenvalues = np.linalg.eigvalsh(gram) / count  # of both products, but for zeros
    if width <= WIDE:
        eigenvalues = np.concatenate([eigenvalues, np.zeros(width - len(eigenvalues))]) + EPS
    eigenvalues = np.maximum(eigenvalues, EPS)
    return float(eigenvalues.mean() / (eigenvalues.std() + EPS))


def redundancy(gram: np.ndarray, other: np.ndarray) -> float:
    """|A^T B| / (|A| |B| + 1e-8), Frobenius norms, of vectors A and B (n, D) that are not centred.

    gram and other are A A^T and B B^T (n, n).
    """
    together = np.sqrt(max(np.sum(gram * other), 0))  # |A^T B|^2 = tr(A A^T B B^T)
    return float(together / (np.sqrt(np.trace(gram) * np.trace(other)) + NORM_EPS))


def order_of(layers: Mapping[int, np.ndarray]) -> list[tuple[int, float]]:
    """{layer: vectors of the same sentences (n, D)} -> the layers in the order of choice, each with its score.

    The score is 1 - isotropy, plus, from the second layer on, half the largest redundancy with those before; the least
    is chosen, of equals the first. So it is 1 - isotropy alone that decides which layer is the one to take.
    """
    vectors = {layer: rows.astype(np.float64) for layer, rows in layers.items()}
    grams = {layer: rows @ rows.T for layer, rows in vectors.items()}
    own = {layer: ALPHA * (1 - isotropy(rows)) for layer, rows in vectors.items()}
    most: dict[int, float] = {}
    """of each layer that is left, the redundancy with those chosen"""
    order: list[tuple[int, float]] = []
    left = list(layers)
    while left:
        scores = {layer: own[layer] + GAMMA * most.get(layer, 0) for layer in left}
        chosen = min(left, key=scores.__getitem__)
        order.append((chosen, scores[chosen]))
        left.remove(chosen)
        most = {layer: max(most.get(layer, 0), redundancy(grams[layer], grams[chosen])) for layer in left}
    return order


def looked_at(train: np.ndarray) -> np.ndarray:
    """The ids of the train sentences (n,) -> those that are looked at, SENTENCES at most."""
    if len(train) <= SENTENCES:
        return train
    return train[np.linspace(0, len(train) - 1, SENTENCES).astype(int)]
