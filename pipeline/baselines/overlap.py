"""Overlap of words: what can be told of a pair without knowing any word."""

from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import polars as pl

from pipeline.catalog.entries import Baseline
from pipeline.formats import splits
from pipeline.formats.baselines import Result

PAIRS_AT_ONCE = 1 << 14
"""whose texts are held as Python's strings"""


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

    train = sentences["text"].gather(splits.train_sentences(pairs))
    vectorizer = TfidfVectorizer(analyzer=words).fit(iter(train))
    parts = [
        np.asarray(vectorizer.transform(first).multiply(vectorizer.transform(second)).sum(axis=1), dtype=np.float64)
        for first, second in texts_of(pairs, sentences)
    ]
    return np.concatenate(parts).ravel()


def texts_of(pairs: pl.DataFrame, sentences: pl.DataFrame) -> Iterator[tuple[list[str], list[str]]]:
    """The first and the second text of each pair, of PAIRS_AT_ONCE pairs at a time."""
    for some in pairs.select("sentence1_id", "sentence2_id").iter_slices(PAIRS_AT_ONCE):
        first, second = (sentences["text"].gather(ids).to_list() for ids in some)
        yield first, second


def overlap(entry: Baseline, pairs: pl.DataFrame, sentences: pl.DataFrame, what: str) -> Result:
    """Dice, Jaccard, character 4-grams and TF-IDF of each pair."""
    scores = {name: np.empty(len(pairs)) for name in MEASURES}
    at = 0
    for texts in texts_of(pairs, sentences):
        for name, measure in MEASURES.items():
            scores[name][at : at + len(texts[0])] = list(map(measure, *texts))
        at += len(texts[0])
    return Result(scores=scores | {"tfidf": tfidf(pairs, sentences)})
