"""Measures of the vectors of sentences, v (N, D), as the stage pool made them.

SENTENCES maps a name to a Measure. None of them looks at a label.
"""

import numpy as np

from pipeline.geometry.measure import Measure, Sample, eigenvalues
from pipeline.geometry.neighbours import two_nn

BINS = 256
"""of the histogram of a vector's entries"""
TOP = 3
"""dimensions whose share is measured"""
LARGE = float("inf")


def entropy(weights: np.ndarray) -> float:
    """-sum_i p_i ln p_i of p = weights / their sum, (n,) -> nats. NaN where all are 0."""
    total = weights.sum()
    if not total > 0:
        return np.nan
    p = weights[weights > 0] / total
    return float(-(p * np.log(p)).sum())


def mean_cosine(directions: np.ndarray) -> float:
    """The mean of u_i . u_j over all i != j: unit vectors, or means of some, (N, D) -> a number."""
    count, squares = len(directions), np.vecdot(directions, directions).sum(dtype=np.float64)
    total = directions.sum(axis=0, dtype=np.float64)
    return float((total @ total - squares) / (count * (count - 1)))


def unit(vectors: np.ndarray) -> np.ndarray:
    """v / |v|, (N, D); a vector of zeros stays one."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)


def top_share(energies: np.ndarray) -> float:
    """Squares by dimension (N, D) -> what the TOP largest dimensions hold of their sum."""
    by_dimension = np.sort(energies.sum(axis=0, dtype=np.float64))
    return float(by_dimension[-TOP:].sum() / by_dimension.sum())


def participation_ratio(spectrum: np.ndarray) -> float:
    """(sum_i l_i)^2 / sum_i l_i^2 of eigenvalues (n,)."""
    return float(spectrum.sum() ** 2 / (spectrum**2).sum()) if spectrum.any() else np.nan


def iso_score(sample: Sample) -> float:
    """IsoScore* with zeta = 0, whose steps (normalise the spectrum, distance to all ones, rescale) come to (PR - 1) /
    (D - 1).
    """
    return (participation_ratio(sample.spectrum) - 1) / (sample["vectors"].shape[1] - 1)


def softmax_entropies(values: np.ndarray) -> np.ndarray:
    """The entropy of softmax over the last axis, (..., D) -> (...) nats."""
    shifted = values - values.max(axis=-1, keepdims=True)
    weights = np.exp(shifted)
    total = weights.sum(axis=-1)
    return np.log(total) - np.vecdot(weights, shifted) / total


def histogram_entropies(values: np.ndarray) -> np.ndarray:
    """The entropy of the histogram of each row, in BINS of one width from its least to its largest entry: (N, D) ->
    (N,) nats.
    """
    low, high = values.min(axis=1, keepdims=True), values.max(axis=1, keepdims=True)
    width = np.where(high > low, high - low, 1)
    bins = np.minimum(((values - low) / width * BINS).astype(np.int64), BINS - 1)
    flat = np.bincount((bins + BINS * np.arange(len(values))[:, None]).ravel(), minlength=BINS * len(values))
    return np.array([entropy(counts.astype(np.float64)) for counts in flat.reshape(len(values), BINS)])


def entropies_of(vectors: np.ndarray) -> dict[str, np.ndarray]:
    """The columns of a Sample that are computed from each vector (N, D) alone."""
    return {
        "softmax_entropy": softmax_entropies(vectors),
        "histogram_entropy": histogram_entropies(vectors),
        "norm": np.linalg.norm(vectors, axis=1),
    }


def _least_side(sample: Sample) -> float:
    return float(min(len(sample["vectors"]) - 1, sample["vectors"].shape[1]))


INFORMATION_FLOW = "arXiv 2502.02013; metric_functions.py of github OFSkean/information_flow"
OWN = "own definition"
WHY_SCALE = "the scale of the states, D; not comparable between layers whose norms differ"

SENTENCES: dict[str, Measure] = {
    "mean_cosine": Measure(
        lambda s: mean_cosine(unit(s["vectors"])),
        "Anisotropy: mean cosine",
        "mean over i != j of cos(v_i, v_j), over all pairs of different sentences instead of random ones",
        "Ethayarajh 2019 (arXiv 1909.00512), abstract and introduction",
        "",
        (-1, 1),
        "a common offset of all vectors: it is not centred",
    ),
    "iso_score": Measure(
        iso_score,
        "IsoScore*",
        "(PR - 1) / (D - 1), which is what the steps of IsoScore* come to for zeta = 0",
        "isoscore_star of I-STAR's public code; the paper, Rudman and Eickhoff 2024, was not found",
        "",
        (0, 1),
        "N / D: fewer than some 10 D sentences push it down; centred. It is the participation ratio in other units",
    ),
    "norm": Measure(
        lambda s: s.mean("norm"),
        "Norm of the vector",
        "mean of |v|",
        OWN,
        "",
        (0, LARGE),
        "the scale of the states",
        frozenset({"norm"}),
    ),
    "top_share": Measure(
        lambda s: top_share(np.square(s["vectors"])),
        f"Share of the top {TOP} dimensions",
        f"sum of the {TOP} largest e_d / sum of all, e_d = sum_i v_id^2",
        OWN,
        "",
        (0, 1),
        "D (evenly spread it is 3 / D); not centred; changes under a rotation",
    ),
    "spectral_entropy": Measure(
        lambda s: entropy(s.spectrum),
        "Entropy of the spectrum",
        "-sum p ln p, p = l / sum l, l the eigenvalues of the covariance",
        OWN + ": the matrix entropy of centred vectors",
        "nats",
        (0, LARGE),
        "N and D: at most ln min(N - 1, D); centred",
        maximum=lambda s: float(np.log(_least_side(s))),
        claim="C6",
    ),
    "effective_rank": Measure(
        lambda s: float(np.exp(entropy(np.sqrt(s.spectrum)))),
        "Effective rank",
        "exp(-sum p ln p), p = s / sum s, s the singular values of the centred vectors",
        "Roy and Vetterli 2007, as quoted at dash.ml/blog/2022/10-23/effective_rank; there without centring",
        "dimensions",
        (1, LARGE),
        "N and D: at most min(N - 1, D); centred",
        maximum=_least_side,
    ),
    "matrix_entropy": Measure(
        lambda s: entropy(eigenvalues(s["vectors"].astype(np.float64))),
        "Matrix entropy of the data set",
        "-sum p ln p, p = k / sum k, k the eigenvalues of V V^T",
        INFORMATION_FLOW + " (compute_entropy with alpha = 1, without its clamp of negative entries)",
        "nats",
        (0, LARGE),
        "N and D: at most ln min(N, D); not centred, so a common offset pulls it to 0",
        maximum=lambda s: float(np.log(min(s["vectors"].shape))),
        claim="C6",
    ),
    "participation_ratio": Measure(
        lambda s: participation_ratio(s.spectrum),
        "Participation ratio",
        "(sum l)^2 / sum l^2, l the eigenvalues of the covariance",
        "arXiv 2509.26560, abstract, and its package dimensionality on PyPI",
        "dimensions",
        (1, LARGE),
        "N: 1 / PR is too large by about 1 / N; centred",
        maximum=_least_side,
    ),
    "intrinsic_dimension": Measure(
        lambda s: two_nn(s["vectors"][s["first_of_component"]]),
        "Intrinsic dimension (TwoNN)",
        "slope through 0 of -ln(1 - F(mu)) on ln mu, mu = distance to the second / to the first neighbour",
        "Facco et al. 2017 as TwoNN of scikit-dimension 0.5.0 has it, with which the tests compare",
        "dimensions",
        (0, LARGE),
        "N: it looks on the scale of the nearest neighbour; so of sentences that pairs connect, one is taken",
        frozenset({"vectors", "first_of_component"}),
    ),
    "softmax_entropy": Measure(
        lambda s: s.mean("softmax_entropy"),
        "Softmax entropy of the vector",
        "mean of -sum_d p_d ln p_d, p = softmax(v)",
        OWN + ", since arXiv 2502.14620 gives no formula for its entropy",
        "nats",
        (0, LARGE),
        WHY_SCALE,
        frozenset({"softmax_entropy"}),
        maximum=lambda s: float(np.log(s["vectors"].shape[1])),
        claim="C6",
    ),
    "histogram_entropy": Measure(
        lambda s: s.mean("histogram_entropy"),
        "Histogram entropy of the vector",
        f"mean of -sum_b p_b ln p_b, p the histogram of v's entries in {BINS} bins from the least to the largest",
        OWN + ", since arXiv 2502.14620 gives no formula for its entropy",
        "nats",
        (0, LARGE),
        "D and the number of bins; one outlying entry pulls it to 0; not the scale",
        frozenset({"histogram_entropy"}),
        maximum=lambda s: float(np.log(min(BINS, s["vectors"].shape[1]))),
        claim="C6",
    ),
    "lexical_identity": Measure(
        lambda s: 1 - float(s["word_error"].sum() / s["word_variance"].sum()),
        "Lexical identity (R²)",
        "1 - sum of squared errors / sum of squared deviations of the counts of frequent tokens, predicted by ridge "
        "regression in 5 folds of components",
        OWN + "; scikit-learn's RidgeCV",
        "",
        (-LARGE, 1),
        "N / D, and how repetitive the text is; the interval leaves out the refitting",
        frozenset({"word_error", "word_variance"}),
    ),
}
