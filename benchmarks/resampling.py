"""The bootstrap against a loop over scipy.stats.spearmanr, and a million pairs against thousands."""

import tracemalloc

import numpy as np
from scipy import stats

from benchmarks.common import cpu_seconds, in_turns, row, seconds
from pipeline.stats.bootstrap import bootstrap, resample_weights

PAIRS, COMPONENTS = 5801, 5143  # MRPC's
LABELLED = 0.676
"""share of MRPC's pairs with label 1"""
IN_THE_LOOP = 100
"""resamples that SciPy computes, each with another vector"""


def draw(rng, vectors, pairs=PAIRS):
    """Scores (vectors, pairs), one in ten with ties as those of last tokens have; labels and components (pairs,)."""
    components = pairs * COMPONENTS // PAIRS
    more = rng.integers(0, components, pairs - components)
    component = rng.permutation(np.append(np.arange(components), more))
    labels = (rng.random(pairs) < LABELLED).astype(np.float64)
    scores = rng.standard_normal((vectors, pairs)) + labels
    scores[::10] = np.round(scores[::10], 1)
    return scores, labels, component


def bootstrap_cost(rounds=5, vectors=250, resamples=10_000):
    """Bootstrap of 25 layers x 10 poolings over MRPC's pairs against a loop over scipy.stats.spearmanr, and memory."""
    scores, labels, component = draw(np.random.default_rng(), vectors)
    weights = resample_weights(component, IN_THE_LOOP, np.random.default_rng(0))
    drawn = [np.repeat(np.arange(PAIRS), times.astype(int)) for times in weights.T]
    chosen = np.arange(IN_THE_LOOP) % vectors
    repeated = [(scores[vector, rows], labels[rows]) for vector, rows in zip(chosen, drawn)]
    timed = resamples // 10
    rhos = {}

    def ours():
        resampled = bootstrap(scores, labels, component, timed, 0)["spearman"]
        rhos["ours"] = resampled[chosen, np.arange(IN_THE_LOOP)]

    def loop():
        rhos["loop"] = [stats.spearmanr(*pairs).statistic for pairs in repeated]

    functions = {"ours": lambda: seconds(ours) / timed / vectors, "loop": lambda: seconds(loop) / IN_THE_LOOP}
    in_turns(1, **functions)
    times = in_turns(rounds, **functions)
    took, peak = time_and_memory(scores, labels, component, resamples)
    results = 3 * 8 * vectors * resamples / 2**30
    detail = (
        f"{1e6 * times['loop']:.0f} / {1e6 * times['ours']:.1f} us; "
        f"{vectors} vectors, {PAIRS} pairs in {COMPONENTS} components"
    )
    return [
        row("bootstrap, scipy.stats.spearmanr in a loop / ours", times["loop"] / times["ours"], detail),
        row(
            "the largest difference of the two",
            float(np.abs(rhos["ours"] - rhos["loop"]).max()),
            f"{IN_THE_LOOP} resamples, each with another vector",
        ),
        row(
            f"peak GiB beyond the inputs, {resamples:,} resamples",
            peak / 2**30,
            f"the results are {results:.3f} GiB of it",
        ),
        row(f"seconds for {resamples:,} resamples", took, "rho, AUC and Pearson's r, while memory was traced"),
    ]


def time_and_memory(scores, labels, component, resamples):
    """Seconds of a bootstrap, and the bytes that it held at most beyond its inputs."""
    tracemalloc.start()
    took = seconds(bootstrap, scores, labels, component, resamples, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return took, peak


def step_cost(rounds=3, vectors=8, few=10_000, many=1_000_000):
    """A step of the bootstrap, of a resample x vector x pair, among many pairs against one among few, in CPU time."""

    def step_of(pairs, resamples):
        given = draw(np.random.default_rng(0), vectors, pairs)

        def nanoseconds():
            once, twice = (cpu_seconds(bootstrap, *given, count, 0) for count in (resamples, 2 * resamples))
            return 1e9 * (twice - once) / (resamples * vectors * pairs)  # the orders are found once in either

        return nanoseconds

    times = in_turns(rounds, few=step_of(few, 1024), many=step_of(many, 64))
    detail = f"{times['many']:.1f} / {times['few']:.1f} ns; {vectors} vectors"
    return [row(f"a step of the bootstrap, {many:,} pairs / {few:,}", times["many"] / times["few"], detail)]
