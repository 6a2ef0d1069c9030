"""Measures of the states of tokens, from the columns of `pipeline.geometry.states`.

TOKENS maps a name to a Measure. Every sentence counts once, however long it is.
"""

import numpy as np

from pipeline.geometry.measure import Measure, Sample
from pipeline.geometry.sentences import INFORMATION_FLOW, LARGE, OWN, TOP, WHY_SCALE, mean_cosine, top_share


def between(sample: Sample) -> float:
    """The variance of the sentences' means, summed over dimensions."""
    return float(sample["mean"].astype(np.float64).var(axis=0, ddof=1).sum())


def of_the_mean(sample: Sample) -> float:
    """The variance of a sentence's mean that its tokens would give it if they were independent, over sentences."""
    return Sample({"noise": sample["variance"] / sample["tokens"]}).mean("noise")


def largest_entropy(sample: Sample) -> float:
    """The mean of ln min(T, D) over the sentences that are traced."""
    traced = np.isfinite(sample["token_matrix_entropy"])
    return float(np.log(np.minimum(sample["tokens"], sample["mean"].shape[1]))[traced].mean())


def _needs(*names: str) -> frozenset[str]:
    return frozenset(names)


TOKENS: dict[str, Measure] = {
    "token_norm": Measure(
        lambda s: float(np.sqrt(s.mean("square"))),
        "Norm of a state",
        "sqrt(mean of |h_t|^2)",
        OWN,
        "",
        (0, LARGE),
        "one outlying token in a sentence, usually the first, can hold most of it",
        _needs("square"),
    ),
    "token_top_share": Measure(
        lambda s: top_share(s["token_energies"]),
        f"Share of the top {TOP} dimensions",
        f"sum of the {TOP} largest e_d / sum of all, e_d = sum over tokens of h_td^2",
        OWN,
        "",
        (0, 1),
        "D (evenly spread it is 3 / D), outlying tokens; not centred; changes under a rotation",
        _needs("token_energies"),
    ),
    "token_cosine": Measure(
        lambda s: mean_cosine(s["token_directions"]),
        "Anisotropy: mean cosine",
        "mean of cos(h, h') over all pairs of tokens of different sentences instead of random ones",
        "Ethayarajh 2019 (arXiv 1909.00512), abstract and introduction",
        "",
        (-1, 1),
        "a common offset of all states: it is not centred",
        _needs("token_directions"),
    ),
    "homogenisation": Measure(
        lambda s: s.mean("within_cosine") - mean_cosine(s["token_directions"]),
        "Homogenisation",
        "mean of cos(h_s, h_t), s != t, within a sentence, minus the mean cosine of tokens of different sentences",
        "after the adjusted intra-sentence similarity of Ethayarajh 2019 (arXiv 1909.00512), not read in full",
        "",
        (-2, 2),
        "not centred, but for the difference",
        _needs("within_cosine", "token_directions"),
    ),
    "curvature": Measure(
        lambda s: s.mean("curvature"),
        "Curvature of the trajectory",
        "mean angle between h_{t+1} - h_t and h_{t+2} - h_{t+1}",
        INFORMATION_FLOW + " (compute_curvature, which takes |cos|: at most 90 there)",
        "degrees",
        (0, 180),
        "neither scale nor offset; independent tokens have 120, a straight line 0",
        _needs("curvature"),
    ),
    "token_matrix_entropy": Measure(
        lambda s: s.mean("token_matrix_entropy"),
        "Matrix entropy of a sentence",
        "mean of -sum p ln p, p = k / sum k, k the eigenvalues of H H^T",
        INFORMATION_FLOW + " (compute_entropy with alpha = 1, without its clamp of negative entries)",
        "nats",
        (0, LARGE),
        "T and D: at most ln min(T, D); not centred; one outlying token pulls it to 0",
        _needs("token_matrix_entropy"),
        largest_entropy,
        claim="C6",
    ),
    "token_softmax_entropy": Measure(
        lambda s: s.mean("token_softmax_entropy"),
        "Softmax entropy of a state",
        "mean of -sum_d p_d ln p_d, p = softmax(h_t)",
        OWN + ", since arXiv 2502.14620 gives no formula for its entropy",
        "nats",
        (0, LARGE),
        WHY_SCALE,
        _needs("token_softmax_entropy"),
        lambda s: float(np.log(s["mean"].shape[1])),
        claim="C6",
    ),
    "between_within": Measure(
        lambda s: between(s) / s.mean("variance"),
        "Variance between / within",
        "variance of the sentences' means / mean variance of the tokens of a sentence, both summed over dimensions",
        OWN + ": one-way analysis of variance",
        "",
        (0, LARGE),
        "the length of sentences; outlying tokens; neither scale nor offset",
        _needs("mean", "variance"),
        claim="C7",
    ),
    "signal_to_noise": Measure(
        lambda s: between(s) / of_the_mean(s) - 1,
        "Signal-to-noise of the mean",
        "variance of the sentences' means / mean of (variance of a sentence's tokens / T), minus 1",
        OWN + ": one-way random effects",
        "",
        (-1, LARGE),
        "the length of sentences; 0 if a sentence were T independent tokens of one distribution",
        _needs("mean", "variance", "tokens"),
        claim="C7",
    ),
    "dilution": Measure(
        lambda s: s.mean("carriers"),
        "Tokens n over carriers m",
        "mean of T / m, m = 1 / sum c_t^2, c_t = h_t . mean / (T |mean|^2) the share of token t in the mean vector",
        OWN + ", after the picture n / m of arXiv 2502.14620",
        "",
        (1, LARGE),
        "not centred: an offset that all tokens share pulls it to 1; one outlying token makes it T",
        _needs("carriers"),
        claim="C7",
    ),
}
