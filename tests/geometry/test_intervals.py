"""Whether standard errors from halves are those of another draw of sentences, measure by measure."""

import numpy as np
import pytest

from pipeline.geometry.between import BETWEEN
from pipeline.geometry.measure import Sample
from pipeline.geometry.sentences import SENTENCES, entropies_of
from pipeline.stats.halves import halves, standard_error

COUNT, DIM, DRAWS, RESAMPLES = 200, 30, 150, 60
NAMES = [name for name in SENTENCES if name not in ("lexical_identity", "histogram_entropy")]


def measure(vectors, second):
    """The measures of one layer, then those of two."""
    known = {"vectors": vectors, "first_of_component": np.ones(len(vectors), dtype=bool)}
    sample = Sample(known | entropies_of(vectors))
    of_two = [one.function(np.stack([vectors, second]))[0, 1] for one in BETWEEN.values()]
    return [SENTENCES[name].function(sample) for name in NAMES] + of_two


@pytest.mark.slow
def test_standard_errors_are_the_spread_over_draws(rng):
    """A ratio of 1, but for the spread's own error of 1 / sqrt(2 x 149) = 6 % and for what is not linear at N = 200."""
    scale, mix = 3 * np.exp(-np.arange(DIM) / 8), rng.standard_normal((DIM, DIM))
    values, errors = [], []
    for draw in range(DRAWS):
        first = rng.standard_normal((COUNT, DIM)) * scale + np.linspace(0, 1, DIM)
        second = np.tanh(first @ mix) + 0.3 * rng.standard_normal((COUNT, DIM))
        values.append(measure(first, second))
        of_halves = [measure(first[half], second[half]) for half in halves(np.arange(COUNT), RESAMPLES, draw)]
        errors.append(standard_error(np.array(of_halves)))
    ratios = dict(zip([*NAMES, *BETWEEN], np.mean(errors, axis=0) / np.std(values, axis=0, ddof=1)))
    print({name: round(float(ratio), 2) for name, ratio in ratios.items()})
    assert {name: ratio for name, ratio in ratios.items() if not 0.65 < ratio < 1.65} == {}
