"""Overlap of words: what can be told of a pair without knowing any word."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import polars as pl

from pipeline.catalog.entries import Baseline
from pipeline.formats import splits
from pipeline.formats.baselines import Result


def words(text: str) -> list[str]:
    """The words of a sentence for every baseline: lower case, split at white space."""
    return text.lower().split()


def dice(a: str, b: str) -> float:
    """2 |A and B| / (|A| + |B|) over multisets of words."""
    bag_a, bag_b = Counter(words(a)), Counter(words(b))
    return 2 * (bag_a & bag_b).total() / (bag_a.total() + bag_b.total())


def jaccard(a: str, b: str) -> float:
    """|A and B| / |A or B| over sets of words."""
    return _shared_part(set(words(a)), set(words(b)))


def char4(a: str, b: str) -> float:
    """|A and B| / |A or B| over sets of 4-grams of the lower-case characters; a shorter text is one gram."""
    return _shared_part(_char4_grams(a.lower()), _char4_grams(b.lower()))


def _char4_grams(text: str) -> set[str]:
    return {text[start : start + 4] for start in range(max(1, len(text) - 3))}


def _shared_part(a: set[str], b: set[str]) -> float:
    return len(a & b) / len(a | b)


MEASURES: dict[str, Callable[[str, str], float]] = {"dice": dice, "jaccard": jaccard, "char4": char4}
"""name -> a measure of two texts, from 0 (nothing in common) to 1"""


def tfidf(pairs: pl.DataFrame, sentences: pl.DataFrame) -> np.ndarray:
    """Cosines of TF-IDF vectors, with scikit-learn's defaults on `words` -> (P,) float64.

    Document frequencies come from the distinct train sentences, or from all where there is no train split.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = sentences["text"].to_numpy()
    matrix = TfidfVectorizer(analyzer=words).fit(texts[splits.train_sentences(pairs)]).transform(texts)
    first, second = matrix[pairs["sentence1_id"].to_numpy()], matrix[pairs["sentence2_id"].to_numpy()]
    return np.asarray(first.multiply(second).sum(axis=1), dtype=np.float64).ravel()


def overlap(entry: Baseline, pairs: pl.DataFrame, sentences: pl.DataFrame, what: str) -> Result:
    """Dice, Jaccard, character 4-grams and TF-IDF of each pair."""
    texts = sentences["text"].to_list()
    of_pairs = [(texts[i], texts[j]) for i, j in pairs.select("sentence1_id", "sentence2_id").iter_rows()]
    scores = {name: np.array([measure(a, b) for a, b in of_pairs]) for name, measure in MEASURES.items()}
    return Result(scores=scores | {"tfidf": tfidf(pairs, sentences)})
