"""Word vectors from plain text by counting: positive pointwise mutual information and a truncated SVD."""

import gzip
import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from pipeline.files import replacing
from pipeline.params import at_least


@dataclass(frozen=True)
class WordVectors:
    """Section `wordvectors` of data/demo/params.yaml."""

    dim: int
    words: int
    """the most frequent so many words"""
    window: int
    """words on either side that count as context, at distance d with weight 1 / d"""
    smoothing: float
    """power of the context counts"""

    def __post_init__(self):
        at_least("wordvectors", self, dim=1, words=self.dim + 2, window=1, smoothing=0)


def words(text):
    """Lower-case words, clitics ('s) and single signs."""
    return re.findall(r"\w+(?:[-.,]\w+)*|'\w+|[^\w\s]", text.lower())


def cooccurrences(texts, settings):
    """-> (vocabulary, most frequent first; symmetric counts (V, V), CSR). Contexts do not cross texts."""
    split = [words(text) for text in texts]
    counts = Counter(word for text in split for word in text)
    vocabulary = [word for word, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[: settings.words]]
    number = {word: i for i, word in enumerate(vocabulary)}
    gap = [-1] * settings.window  # unknown words too are -1: they keep their place but are nobody's context
    stream = np.array([i for text in split for i in [*(number.get(word, -1) for word in text), *gap]])
    size = (len(vocabulary), len(vocabulary))
    total = sparse.csr_array(size)
    for d in range(1, settings.window + 1):
        a, b = stream[:-d], stream[d:]
        known = (a >= 0) & (b >= 0)
        total = total + sparse.coo_array((np.full(known.sum(), 1 / d), (a[known], b[known])), shape=size).tocsr()
    return vocabulary, (total + total.T).tocsr()


def ppmi(counts, smoothing):
    """max(0, log p(w, c) / (p(w) p_s(c))) with p_s(c) proportional to count(c)^s (Levy, Goldberg and Dagan 2015, TACL, section 3.2)."""
    rows, contexts = np.asarray(counts.sum(axis=1)).ravel(), np.asarray(counts.sum(axis=0)).ravel() ** smoothing
    values = counts.tocoo()
    pmi = np.log(values.data * contexts.sum() / (rows[values.row] * contexts[values.col]))
    return sparse.csr_array((np.maximum(pmi, 0), (values.row, values.col)), shape=counts.shape)


def train(texts, settings: WordVectors):
    """-> (vocabulary, (V, dim) float64): U sqrt(S) of the PPMI matrix, scaled to a root mean square of 1; each dimension's
    largest entry is positive, so that a sign does not depend on the solver."""
    vocabulary, counts = cooccurrences(texts, settings)
    if len(vocabulary) < settings.dim + 2:
        raise ValueError(f"the text has {len(vocabulary)} words: too few for {settings.dim} dimensions; add text or lower wordvectors.dim")
    u, s, _ = sparse.linalg.svds(ppmi(counts, settings.smoothing), k=settings.dim, v0=np.ones(len(vocabulary)))
    u, s = u[:, ::-1], s[::-1]
    vectors = u * np.sqrt(s) * np.sign(u[np.abs(u).argmax(axis=0), np.arange(settings.dim)])
    return vocabulary, vectors / np.sqrt(np.mean(vectors**2))


def write(path, vocabulary, vectors):
    """GloVe's text format, gzip, two decimals; the same vectors give the same bytes."""
    with replacing(path) as part, part.open("wb") as raw, gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as lines:
        for word, vector in zip(vocabulary, vectors):
            lines.write(f"{word} {' '.join(f'{x:.2f}' for x in vector)}\n".encode())
