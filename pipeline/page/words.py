"""Words of the sentences: how much of its attention a word has, and which pairs have most words in common."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.formats.tokens import Tokens
from pipeline.page.study import Weights
from pipeline.report.markdown import visible

NEIGHBOURS = 3
CHUNK = 512
"""pairs at a time"""
NOBODY = 2**32 - 1
FLAT = 0.01
"""attention that is nowhere further than this from the mean's weight is the mean"""


def of_attention(layer: int, found: Mapping[int, np.ndarray], tokens: Tokens, texts: Sequence[str]) -> Weights | None:
    """{sentence_id: (T,) weights at a layer} -> for each sentence those of its words; None where all are alike."""
    if not any(np.abs(weights * len(weights) - 1).max() > FLAT for weights in found.values()):
        return None
    assert tokens.pieces is not None
    ids = dict(zip(tokens.sentence_ids.tolist(), tokens.ids))
    of_words = [
        of_sentence(text, [tokens.pieces[int(token)] for token in ids[number]], found[number])
        if number in found
        else None
        for number, text in enumerate(texts)
    ]
    return Weights(layer, of_words)


def of_sentence(text: str, pieces: Sequence[str], weights: np.ndarray) -> list[float] | None:
    """Tokens with their weights -> the weight of each word between spaces, in multiples of what the mean gives it.

    A token counts for the word that it ends in. None where the tokens do not spell the sentence, as with bytes that are
    no characters, where a word has no token of its own, or where the sentence is not shown as it is.
    """
    words, before = text.split(), "".join(pieces).find(text)
    shown_as_it_is = text.isprintable() or visible(text).split() == words
    if before < 0 or len(weights) != len(pieces) or not words or not shown_as_it_is:
        return None
    starts, at = [], 0
    for word in words:
        at = text.index(word, at)
        starts.append(at)
        at += len(word)
    total, count, start = [0.0] * len(words), [0] * len(words), -before
    for piece, weight in zip(pieces, weights.tolist()):
        last = start + len(piece.rstrip()) - 1
        number = bisect_right(starts, last) - 1
        if piece.strip() and number >= 0 and last < starts[number] + len(words[number]):
            total[number] += weight
            count[number] += 1
        start += len(piece)
    if not all(count):
        return None
    return [len(weights) * one / several for one, several in zip(total, count)]


def neighbours(first: Sequence[str], second: Sequence[str], members: Sequence[np.ndarray]) -> np.ndarray:
    """Both sentences of P pairs, and the rows of each split -> (P, NEIGHBOURS) rows of the pairs of the same split that
    share most words: cosine of TF-IDF over the words of both sentences. NOBODY where there are fewer.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    nearest = np.full((len(first), NEIGHBOURS), NOBODY, dtype=np.int64)
    texts = [f"{one} {other}" for one, other in zip(first, second)]
    if not any(text.split() for text in texts):
        return nearest
    vectors = TfidfVectorizer(tokenizer=str.split, token_pattern=None, dtype=np.float32).fit_transform(texts)
    for rows in members:
        of_split = vectors[rows]
        count = min(NEIGHBOURS, len(rows) - 1)
        for start in range(0, len(rows), CHUNK):
            alike = (of_split[start : start + CHUNK] @ of_split.T).toarray()
            alike[np.arange(len(alike)), start + np.arange(len(alike))] = -1  # not itself
            best = np.argsort(-alike, axis=1, kind="stable")[:, :count]
            shares = np.take_along_axis(alike, best, axis=1) > 0
            nearest[rows[start : start + CHUNK], :count] = np.where(shares, rows[best], NOBODY)
    return nearest
