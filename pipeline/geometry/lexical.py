"""How much of a sentence's words its vector holds: ridge regression of the bag of tokens, cross-validated."""

from collections.abc import Sequence

import numpy as np

from pipeline.stats.folds import folds

WORDS = 200
"""the most frequent tokens of the sample, by the number of sentences that have them"""
FOLDS = 5
PENALTIES = tuple(10.0**power for power in range(-2, 6))
"""tried by RidgeCV on the sentences that are learned from; of vectors whose mean square is 1"""


def bag(ids: Sequence[np.ndarray]) -> np.ndarray:
    """Token ids of N sentences -> how often each has the WORDS tokens that most sentences have, (N, W).

    Without those that every sentence has as often, such as a token for its beginning.
    """
    flat = np.concatenate(ids)
    sentence = np.repeat(np.arange(len(ids)), [len(of_sentence) for of_sentence in ids])
    known, word = np.unique(flat, return_inverse=True)
    in_sentences = np.bincount(np.unique(sentence * len(known) + word) % len(known), minlength=len(known))
    frequent = np.argsort(-in_sentences, kind="stable")[:WORDS]
    column = np.full(len(known), -1)
    column[frequent] = np.arange(len(frequent))
    counts = np.zeros((len(ids), len(frequent)))
    kept = column[word] >= 0
    np.add.at(counts, (sentence[kept], column[word][kept]), 1)
    return counts[:, np.ptp(counts, axis=0) > 0]


def errors(vectors: np.ndarray, counts: np.ndarray, component: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Vectors (N, D), bags (N, W), components (N,) -> squared errors of held-out sentences, and their squared
    deviations from the mean of those that were learned from, each summed over words, (N,).

    NaN where there is no word to predict, or are fewer components than FOLDS.
    """
    from sklearn.linear_model import RidgeCV

    error, variance = np.full((2, len(vectors)), np.nan)
    fold = folds(component, FOLDS, seed)
    if not counts.shape[1] or len(np.unique(fold)) < FOLDS:
        return {"word_error": error, "word_variance": variance}
    for held_out in np.unique(fold):
        test, train = fold == held_out, fold != held_out
        x, y = vectors.astype(np.float64), counts
        x = x - x[train].mean(axis=0)
        scale = np.sqrt(np.square(x[train]).mean())
        ridge = RidgeCV(list(PENALTIES)).fit(x[train] / (scale or 1), y[train])
        error[test] = np.square(y[test] - ridge.predict(x[test] / (scale or 1))).sum(axis=1)
        variance[test] = np.square(y[test] - y[train].mean(axis=0)).sum(axis=1)
    return {"word_error": error, "word_variance": variance}
