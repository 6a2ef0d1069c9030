"""How well held-out pairs are ordered, and whether what was learned is more than noise.

The guard is a one-sided test that the held-out rho of the kept epoch is above that of epoch 0, by a bootstrap over
components, at LEVEL / epochs, since the epoch is the best of so many. Where it is not, every run keeps epoch 0.
"""

import numpy as np
import torch

from pipeline.fit.learnable import Learnable
from pipeline.fit.pair_states import PairStates
from pipeline.stats.bootstrap import bootstrap
from pipeline.stats.folds import ranks_within
from pipeline.stats.ranks import spearman_rows

LEVEL, RESAMPLES = 0.05, 1000
PAIRS_AT_ONCE = 128


def held_out(states: PairStates, learnable: Learnable, parameters: torch.Tensor, fold: np.ndarray) -> np.ndarray:
    """Each train pair by the run that holds it out, as a rank within its fold -> (n, L).

    parameters (R, L, ...), fold (n,): the run that holds each pair out.
    """
    rows, scores = [], []
    with torch.inference_mode():
        for run in range(len(parameters)):
            of_run = np.flatnonzero(fold == run)
            for part in np.array_split(of_run, max(1, len(of_run) // PAIRS_AT_ONCE)):
                cosines = list(learnable.cosines(states, parameters[run : run + 1], part))  # L times (P, 1)
                rows.append(part)
                scores.append(torch.cat(cosines, dim=1).cpu().numpy().astype(np.float64))
    in_order = np.concatenate(scores)[np.argsort(np.concatenate(rows))]
    return np.stack([ranks_within(of_layer, fold) for of_layer in in_order.T], axis=1)


def rho_of(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Spearman's rho of each column (n, L) -> (L,), NaN where it is undefined."""
    return spearman_rows(scores.T, labels)


def beyond_noise(
    start: np.ndarray, learned: np.ndarray, labels: np.ndarray, component: np.ndarray, epochs: int, seed: int
) -> np.ndarray:
    """Whether learned scores order the pairs better than those of the start, beyond the best of so much noise -> (L,).

    start, learned (n, L) of held-out pairs, labels (n,), component (n,).
    """
    from scipy.special import ndtri

    apart = rho_of(learned, labels) - rho_of(start, labels)
    resampled = [bootstrap(side.T, labels, component, RESAMPLES, seed)["spearman"] for side in (start, learned)]
    known = np.isfinite(apart)  # not where all sentences have one vector, such as that of one token before any block
    noise = np.nanstd((resampled[1] - resampled[0])[known], axis=1)
    beyond = np.zeros(len(apart), dtype=bool)
    beyond[known] = apart[known] > ndtri(1 - LEVEL / epochs) * noise
    return beyond
