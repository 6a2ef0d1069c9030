"""Corrections of sentence vectors for anisotropy, fitted on the vectors of the train sentences alone.

`embed_filter_K` is not fitted at all: it takes the unembedding of the model instead.

CORRECTIONS maps a name to a function: `TrainVectors` (and K) -> a function of vectors (S, D) -> (S, D') float64. In
params.yaml a name such as whitening_64 is an entry and its K.
"""

from collections.abc import Callable

import numpy as np

from pipeline.pool.train_vectors import NoUnembeddingError, RankError, TrainVectors, WidthError

Apply = Callable[[np.ndarray], np.ndarray]
"""vectors (S, D) -> (S, D')"""


def none(train: TrainVectors) -> Apply:
    """v, as it is"""
    return as_they_are


def as_they_are(vectors: np.ndarray) -> np.ndarray:
    """(S, D) -> (S, D)"""
    return vectors


def centre(train: TrainVectors) -> Apply:
    """v - m, m the mean train vector."""
    return lambda vectors: vectors - train.mean


def remove_mean_direction(train: TrainVectors) -> Apply:
    """v - (v . u) u, u = m / |m| the direction of the mean train vector m (R2 of arXiv 2511.11041).

    Unlike `centre` it leaves the same of a vector whatever the length of m, and no vector keeps anything of m. Of the
    paper only the abstracts of both versions and equations 1 and 2 of v1 could be read: m is the mean of the vectors as
    the model gives them, and so it is here. Whether it scales them to length 1 before could not be seen; the cosine
    does not depend on what follows. Where the train vectors have no mean there is nothing to remove.
    """
    length = np.linalg.norm(train.mean)
    has_mean = length > 1e-12 * train.largest.max()
    direction = train.mean / length if has_mean else np.zeros_like(train.mean)
    return lambda vectors: vectors - np.outer(vectors @ direction, direction)


def standardise(train: TrainVectors) -> Apply:
    """(v - m) / s, s the standard deviation of each dimension over the train vectors (arXiv 2109.04404).

    A dimension that does not vary there becomes 0.
    """
    varies = train.spread > 1e-12 * train.largest
    scale = np.divide(1, train.spread, out=np.zeros_like(train.spread), where=varies)
    return lambda vectors: (vectors - train.mean) * scale


def all_but_the_top(train: TrainVectors, k: int) -> Apply:
    """c - U U^T c, c = v - m and U (D, k) the first k principal directions of the train vectors (arXiv 1702.01417)."""
    _, top = train.principal.largest(k, "all_but_the_top")

    def apply(vectors: np.ndarray) -> np.ndarray:
        centred = vectors - train.mean
        return centred - (centred @ top) @ top.T

    return apply


def whitening(train: TrainVectors, k: int) -> Apply:
    """U^T (v - m) / sigma: the first k principal components (arXiv 2103.15316).

    Each is scaled to variance 1 on the train vectors.
    """
    sigma, top = train.principal.largest(k, "whitening")
    scaled = top / (sigma / np.sqrt(train.shape[0]))
    return lambda vectors: (vectors - train.mean) @ scaled


def embed_filter(train: TrainVectors, k: int) -> Apply:
    """V^T (g * v), V (D, D // K) the middle right singular vectors of the unembedding, by the size of their singular
    values, and g the gain of the norm before it (EmbedFilter, arXiv 2606.07502).

    Both edges go, (D - D // K) // 2 of the largest and the rest of the smallest: frequent words are written there. So
    does the authors' code (github CentreChen/EmbFilter, commit c3958e3, set_lm_embed, where K is filter_ratio, 2 by
    default); of the paper only the abstract and summaries could be read. There it is applied to norm(h) of each token,
    before pooling. Here vectors are pooled from layers without the final norm (C1), so the gain, and the centring of a
    LayerNorm, are applied to v; the length of each token, which the norm divides by, and the norm's bias are not. With
    the pooling `last` and an RMSNorm the cosine at the last layer is the same. embed_filter_1 keeps all directions:
    the gain alone, the control.
    """
    if train.unembedding is None:
        raise NoUnembeddingError(f"embed_filter_{k}: there is no unembedding to filter by")
    directions, gain = train.unembedding.directions, train.unembedding.gain
    if train.shape[1] != len(gain):
        raise WidthError(
            f"embed_filter_{k}: vectors of {train.shape[1]} dimensions, expected {len(gain)} as in the model"
        )
    kept = len(gain) // k
    if not kept:
        raise RankError(f"embed_filter_{k}: {len(gain)} dimensions, expected k from 1 to {len(gain)}")
    first = (len(gain) - kept) // 2
    matrix = (directions[first : first + kept] * gain).T.astype(np.float64)  # (D, kept)
    if train.unembedding.centred:
        matrix -= matrix.mean(axis=0)  # of v - mean(v), as v - mean(v) is linear in v
    return lambda vectors: vectors @ matrix


CORRECTIONS: dict[str, Callable[..., Apply]] = {
    "none": none,
    "centre": centre,
    "remove_mean_direction": remove_mean_direction,
    "standardise": standardise,
    "all_but_the_top_K": all_but_the_top,
    "whitening_K": whitening,
    "embed_filter_K": embed_filter,
}
BY_UNEMBEDDING = ("embed_filter_K",)
"""those that take the unembedding of the model"""
