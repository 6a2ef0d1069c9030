"""Contract C5: one score for each pair, encoder, layer and similarity, in one tidy table that every statistic is computed from.

Columns: pair_id, split, label, encoder, pooling, correction, layer, similarity, score. A larger score means more alike.
`pooling`, `correction` and `layer` are null where an encoder has none.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from pipeline import splits, vectors
from pipeline.corrections import RankError, correction_of

SCHEMA = {
    "pair_id": pl.Int64,
    "split": pl.String,
    "label": pl.Float64,
    "encoder": pl.String,
    "pooling": pl.String,
    "correction": pl.String,
    "layer": pl.Int32,
    "similarity": pl.String,
    "score": pl.Float64,
}


@dataclass(frozen=True)
class Score:
    """Section `score` of params.yaml."""

    similarities: list[str]
    """keys of SIMILARITIES"""
    corrections: list[str]
    """names of pipeline.corrections.CORRECTIONS; fitted on the train sentences of each encoder's vectors at each layer"""

    def __post_init__(self):
        check_names("score", self.similarities, self.corrections)


def check_names(section, similarities, corrections):
    """Raise ValueError for an empty list, an unknown name or one that is listed twice in a section of params.yaml."""
    if unknown := [name for name in similarities if name not in SIMILARITIES] or not similarities:
        raise ValueError(f"{section}.similarities has {unknown if similarities else 'nothing'}, expected some of {', '.join(SIMILARITIES)}")
    if not corrections:
        raise ValueError(f"{section}.corrections is empty: expected at least one, such as none")
    for name in corrections:
        correction_of(name)
    for key, names in (("similarities", similarities), ("corrections", corrections)):
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{section}.{key} lists {', '.join(twice)} twice: once is enough")


def cosine(a, b):
    """(P, D), (P, D) -> (P,): a . b / (|a| |b|), and 0 where a vector is zero (a sentence of unknown words), as scikit-learn has it."""
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.divide(dot(a, b), norms, out=np.zeros(len(a)), where=norms > 0)


def dot(a, b):
    """(P, D), (P, D) -> (P,): a . b"""
    return np.einsum("pd,pd->p", a, b)


def neg_euclidean(a, b):
    """(P, D), (P, D) -> (P,): -|a - b|"""
    return -np.linalg.norm(a - b, axis=1)


def neg_manhattan(a, b):
    """(P, D), (P, D) -> (P,): -sum_d |a_d - b_d|"""
    return -np.abs(a - b).sum(axis=1)


def rank_cosine(a, b):
    """(P, D), (P, D) -> (P,): Spearman's correlation of the two vectors over their dimensions (midranks), which a few outlying
    dimensions do not rule (Zhelezniak et al. 2019, arXiv 1905.07790); 0 where all values of a vector are equal."""
    from scipy.stats import rankdata

    a, b = (rankdata(one, axis=1) - (one.shape[1] + 1) / 2 for one in (a, b))
    return cosine(a, b)


SIMILARITIES = {"cosine": cosine, "dot": dot, "neg_euclidean": neg_euclidean, "neg_manhattan": neg_manhattan, "rank_cosine": rank_cosine}
PAIRS_AT_ONCE = 4096  # pairs whose float64 vectors are held at once


def score_pairs(encoded, first, second, similarity):
    """(S, D) sentence vectors and the two sentence ids of each pair (P,), (P,) -> (P,) scores, computed in float64."""
    function = SIMILARITIES[similarity]
    parts = [slice(i, i + PAIRS_AT_ONCE) for i in range(0, len(first), PAIRS_AT_ONCE)]
    return np.concatenate([function(encoded[first[p]].astype(np.float64), encoded[second[p]].astype(np.float64)) for p in parts])


def rows(pairs, encoder, pooling, correction, layer, similarity, scores):
    """Scores of all pairs -> rows of C5. Raises ValueError when one is not finite."""
    if not np.isfinite(scores).all():
        where = int(np.argmin(np.isfinite(scores)))
        at = "" if layer is None else f", layer {layer}"
        raise ValueError(
            f"the {similarity} of {encoder}{at} is {scores[where]} for pair {pairs['pair_id'][where]} (split {pairs['split'][where]}), "
            f"and for {int((~np.isfinite(scores)).sum())} pairs in all: its vectors are not finite"
        )
    constant = {"encoder": encoder, "pooling": pooling, "correction": correction, "layer": layer, "similarity": similarity}
    table = pairs.select("pair_id", "split", "label", *(pl.lit(value, SCHEMA[name]).alias(name) for name, value in constant.items()))
    return table.with_columns(pl.Series("score", scores, pl.Float64))


def score_vectors(encoded, pairs, train, encoder, pooling, layer, params):
    """Sentence vectors (S, D) of one pooling and layer -> rows of C5 for every one of params.corrections and params.similarities, and the
    corrections for which the train vectors have too few dimensions, as last tokens at layer 0 have. train: ids of the train sentences."""
    first, second = pairs["sentence1_id"].to_numpy(), pairs["sentence2_id"].to_numpy()
    tables, few = [], []
    for correction in params.corrections:
        try:
            corrected = encoded if correction == "none" else correction_of(correction)(encoded[train])(encoded)
        except RankError:
            few.append(correction)
            continue
        for name in params.similarities:
            tables.append(rows(pairs, encoder, pooling, correction, layer, name, score_pairs(corrected, first, second, name)))
    return pl.concat(tables or [pl.DataFrame(schema=SCHEMA)]), few


def score_encoder(folder, pairs, params: Score, log=lambda line: print(line, file=sys.stderr)):
    """All rows of one encoder's folder: its vectors (C4), scored at every layer after every correction by every similarity, or
    the scores it brings. A correction that wants more dimensions than the vectors have is left out, which is logged."""
    folder = Path(folder)
    first, second = pairs["sentence1_id"].to_numpy(), pairs["sentence2_id"].to_numpy()
    tables, train = [], splits.train_sentences(pairs)
    if (folder / "vectors.parquet").exists():
        file = folder / "vectors.parquet"
        info, numbers = vectors.read_info(file)
        for number in numbers:
            encoded = vectors.read_layer(file, number)
            if len(encoded) != (needed := int(max(first.max(), second.max())) + 1):
                raise ValueError(f"{file} holds {len(encoded)} sentences, but the pairs have {needed}: it belongs to another dataset")
            layer = number if info["layers"] else None
            table, few = score_vectors(encoded, pairs, train, info["encoder"], info["pooling"], layer, params)
            tables.append(table)
            for correction in few:
                at = "" if layer is None else f" at layer {layer}"
                log(f"{info['encoder']}{at}: {correction} is left out, its vectors of {encoded.shape[1]} dimensions have too low a rank")
    else:
        info = json.loads((folder / "info.json").read_text())
        file = folder / "scores.parquet"
        given = pl.read_parquet(file)
        if len(given) != len(pairs):
            raise ValueError(f"{file} holds {len(given)} scores, but there are {len(pairs)} pairs: it belongs to another dataset")
        tables += [rows(pairs, info["encoder"], None, None, None, name, given[name].to_numpy()) for name in given.columns]
    return pl.concat(tables)
