"""Word vectors from plain text by counting: positive pointwise mutual information and a truncated SVD."""

import gzip
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from scipy import sparse

from pipeline.base.errors import InputError
from pipeline.base.files import replacing
from pipeline.demo.settings import WordVectors

UNKNOWN = -1
"""number of a word outside the vocabulary: it keeps its place but is nobody's context"""


def words(text: str) -> list[str]:
    """Lower-case words, clitics ('s) and single signs."""
    return re.findall(r"\w+(?:[-.,]\w+)*|'\w+|[^\w\s]", text.lower())


def cooccurrences(texts: Iterable[str], settings: WordVectors) -> tuple[list[str], sparse.csr_array]:
    """-> (vocabulary of V words, most frequent first; symmetric counts (V, V)). Contexts do not cross texts."""
    documents = [words(text) for text in texts]
    counts = Counter(word for document in documents for word in document)
    by_frequency = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    vocabulary = [word for word, _ in by_frequency[: settings.words]]
    number = {word: i for i, word in enumerate(vocabulary)}
    gap = [UNKNOWN] * settings.window
    stream = np.array([i for document in documents for i in [*(number.get(word, UNKNOWN) for word in document), *gap]])
    shape = (len(vocabulary), len(vocabulary))
    total = sparse.csr_array(shape)
    for distance in range(1, settings.window + 1):
        before, after = stream[:-distance], stream[distance:]
        known = (before != UNKNOWN) & (after != UNKNOWN)
        weights = np.full(known.sum(), 1 / distance)
        total = total + sparse.coo_array((weights, (before[known], after[known])), shape=shape).tocsr()
    return vocabulary, (total + total.T).tocsr()


def ppmi(counts: sparse.csr_array, smoothing: float) -> sparse.csr_array:
    """max(0, log p(w, c) / (p(w) p_s(c))) with p_s(c) proportional to count(c)^s, (V, V) -> (V, V).

    Levy, Goldberg and Dagan 2015, TACL, section 3.2.
    """
    of_word = np.asarray(counts.sum(axis=1)).ravel()
    of_context = np.asarray(counts.sum(axis=0)).ravel() ** smoothing
    cells = counts.tocoo()
    pmi = np.log(cells.data * of_context.sum() / (of_word[cells.row] * of_context[cells.col]))
    return sparse.csr_array((np.maximum(pmi, 0), (cells.row, cells.col)), shape=counts.shape)


def train(texts: Iterable[str], settings: WordVectors) -> tuple[list[str], np.ndarray]:
    """-> (vocabulary, (V, dim) float64): U sqrt(S) of the PPMI matrix, scaled to a root mean square of 1.

    Each dimension's largest entry is positive, so that a sign does not depend on the solver. InputError for too few
    words.
    """
    vocabulary, counts = cooccurrences(texts, settings)
    if len(vocabulary) < settings.dim + 2:
        raise InputError(
            f"the text has {len(vocabulary)} words: too few for {settings.dim} dimensions; add text or lower "
            "wordvectors.dim"
        )
    matrix = ppmi(counts, settings.smoothing)
    u, s, _ = sparse.linalg.svds(matrix, k=settings.dim, v0=np.ones(len(vocabulary)))
    u, s = u[:, ::-1], s[::-1]  # largest first
    signs = np.sign(u[np.abs(u).argmax(axis=0), np.arange(settings.dim)])
    vectors = u * np.sqrt(s) * signs
    return vocabulary, vectors / np.sqrt(np.mean(vectors**2))


def write(path: str | Path, vocabulary: list[str], vectors: np.ndarray) -> None:
    """GloVe's text format, gzip, two decimals; the same vectors give the same bytes."""
    with (
        replacing(path) as part,
        part.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as lines,
    ):
        for word, vector in zip(vocabulary, vectors):
            lines.write(f"{word} {' '.join(f'{x:.2f}' for x in vector)}\n".encode())
