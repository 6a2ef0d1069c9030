"""What learned attention looks at: weights against idf and position, the heaviest and lightest tokens, examples."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from pipeline.formats import splits
from pipeline.formats.ragged import Ragged
from pipeline.formats.tokens import Tokens
from pipeline.stats.ranks import spearman

RARE = 10
"""tokens seen less often are not listed"""
LISTED = 12
"""tokens at either end"""
EXAMPLES = 3
"""sentences with their weights"""
FLAT = 1e-4
"""weights that differ by less, in multiples of the mean's weight, are the mean"""
READABLE = r"^[\x21-\x7e]+$"
"""pieces that are listed, without the spaces around them"""
LETTERS = 1.5
"""characters a token on average below which a sentence is letters one by one, and nothing to read"""


def look(weights: Mapping[int, np.ndarray], tokens: Tokens, pairs: pl.DataFrame, layer: str) -> dict[str, Any] | None:
    """Where the first run of attention looks at a layer: {sentence_id: (T,) weights}, tokens with pieces, pairs (C2).

    The key `attention` of formats.tables.SUMMARY, over the sentences of the last split. Weights are in multiples of
    1 / T, which is what the mean gives. None where there are no weights.
    """
    if not weights:
        return None
    ids = _sentences_of_last_split(pairs)
    row_of = {sentence: row for row, sentence in enumerate(tokens.sentence_ids.tolist())}
    text_of, ids_of = tokens.pieces, tokens.pooled
    assert text_of is not None
    pieces = [[text_of[token] for token in ids_of[row_of[sentence]].tolist()] for sentence in ids]
    relative = [weights[sentence] * len(weights[sentence]) for sentence in ids]
    weight = np.concatenate(relative)
    facts = {"layer": layer, "sentences": len(ids), "flat": bool(weight.max() - weight.min() < FLAT)}
    if facts["flat"]:
        return facts | {"by_idf": None, "by_position": None, "most": [], "least": [], "examples": []}
    idf = inverse_document_frequencies(tokens, splits.train_sentences(pairs))
    position = np.concatenate([np.arange(len(row)) / max(1, len(row) - 1) for row in relative])
    common = _common(pieces, weight)
    legible = np.mean([len(piece) for sentence in pieces for piece in sentence]) > LETTERS
    return facts | {
        "by_idf": spearman(weight, np.concatenate([idf[row_of[sentence]] for sentence in ids])),
        "by_position": spearman(weight, position),
        "most": common[::-1][:LISTED],
        "least": common[:LISTED],
        "examples": _examples(pieces, relative) if legible else [],
    }


def inverse_document_frequencies(tokens: Tokens, train: np.ndarray) -> Ragged:
    """idf of each pooled token of each sentence: S arrays (T,) float32, in the order of the tokens.

    ln((N + 1) / (n + 1)) for a token id that n of N train sentences hold, as in the pooling idf_mean.
    """
    pooled = tokens.pooled
    size = 1 + int(pooled.values.max())
    learned_from = np.flatnonzero(np.isin(tokens.sentence_ids, train))
    documents = np.bincount(np.concatenate([np.unique(pooled[row]) for row in learned_from.tolist()]), minlength=size)
    idf = np.log((len(learned_from) + 1) / (documents + 1)).astype(np.float32)
    return Ragged(idf[pooled.values], pooled.offsets)


def _sentences_of_last_split(pairs: pl.DataFrame) -> list[int]:
    """Distinct sentence ids in the order of the pairs, the first of a pair before the second."""
    pairs = pairs.sort("pair_id")
    last = pairs.filter(pl.col("split") == pairs["split"][-1])
    return list(dict.fromkeys(last.select("sentence1_id", "sentence2_id").to_numpy().ravel().tolist()))


def _common(pieces: list[list[str]], weight: np.ndarray) -> list[list]:
    """[piece, mean weight] of the readable pieces that are not rare, the lightest first."""
    tokens = pl.DataFrame({"piece": [piece for sentence in pieces for piece in sentence], "weight": weight})
    means = tokens.group_by("piece", maintain_order=True).agg(pl.len().alias("count"), pl.col("weight").mean())
    readable = pl.col("piece").str.strip_chars().str.contains(READABLE)
    listed = means.filter(pl.col("count") >= RARE, readable).sort("weight", "piece")
    return [list(row) for row in listed.select("piece", "weight").iter_rows()]


def _examples(pieces: list[list[str]], relative: list[np.ndarray]) -> list[dict[str, list]]:
    shown = zip(pieces[:EXAMPLES], relative[:EXAMPLES])
    return [{"pieces": sentence, "weights": weights.tolist()} for sentence, weights in shown]
