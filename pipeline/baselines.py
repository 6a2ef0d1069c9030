"""What any encoder has to beat: word overlap, random word vectors, averaged word vectors.

BASELINES maps a kind to a function (entry, pairs, sentences, what) -> Baseline result. A baseline brings either sentence
vectors (contract C4), which are then scored like a model's, or the scores of the pairs themselves.
"""

import gzip
import json
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from pipeline import catalog, splits, vectors
from pipeline.files import replacing


@dataclass(frozen=True)
class Result:
    vectors: np.ndarray | None = None
    """(S, D) float32, a row a sentence"""
    scores: dict = field(default_factory=dict)
    """name of the measure -> (P,) float64"""
    info: dict = field(default_factory=dict)
    """what the report says of it"""


def words(text):
    """The words of a sentence for every baseline: lower case, split at white space."""
    return text.lower().split()


def dice(a, b):
    """2 |A and B| / (|A| + |B|) over multisets of words."""
    a, b = Counter(words(a)), Counter(words(b))
    return 2 * (a & b).total() / (a.total() + b.total())


def jaccard(a, b):
    """|A and B| / |A or B| over sets of words."""
    a, b = set(words(a)), set(words(b))
    return len(a & b) / len(a | b)


def char4(a, b):
    """|A and B| / |A or B| over sets of 4-grams of the lower-case characters (of all of them where a text is shorter)."""
    a, b = ({s[i : i + 4] for i in range(max(1, len(s) - 3))} for s in (a.lower(), b.lower()))
    return len(a & b) / len(a | b)


def tfidf(pairs, sentences):
    """Cosines of TF-IDF vectors (scikit-learn's defaults on `words`), document frequencies from the distinct train
    sentences, or from all where there is no train split -> (P,)."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = sentences["text"].to_numpy()
    matrix = TfidfVectorizer(analyzer=words).fit(texts[splits.train_sentences(pairs)]).transform(texts)
    a, b = matrix[pairs["sentence1_id"].to_numpy()], matrix[pairs["sentence2_id"].to_numpy()]
    return np.asarray(a.multiply(b).sum(axis=1), dtype=np.float64).ravel()


OVERLAPS = {"dice": dice, "jaccard": jaccard, "char4": char4}


def overlap(entry, pairs, sentences, what):
    """Dice, Jaccard, character 4-grams and TF-IDF: what can be told from the words alone."""
    texts = sentences["text"].to_list()
    both = [(texts[i], texts[j]) for i, j in pairs.select("sentence1_id", "sentence2_id").iter_rows()]
    scores = {name: np.array([function(a, b) for a, b in both]) for name, function in OVERLAPS.items()}
    return Result(scores=scores | {"tfidf": tfidf(pairs, sentences)})


def random_vectors(entry, pairs, sentences, what):
    """A Gaussian vector for each word, drawn from the seed and the word alone, averaged: word identity without any meaning."""
    texts = [words(text) for text in sentences["text"]]
    vocabulary = {word for text in texts for word in text}
    drawn = {word: np.random.default_rng([entry.seed, zlib.crc32(word.encode())]).standard_normal(entry.dim, dtype=np.float32) for word in vocabulary}
    return Result(vectors=averages(texts, drawn, entry.dim), info={"dim": entry.dim, "seed": entry.seed})


def word_vectors(entry, pairs, sentences, what):
    """Averaged word vectors from a text file in GloVe's format (Pennington et al. 2014); unknown words count as zero vectors."""
    source = catalog.one_source(what, {"path": entry.path, "url": entry.url})
    file = catalog.local(entry.path, what) if source == "path" else catalog.download(entry.url, entry.member)
    texts = [words(text) for text in sentences["text"]]
    known, dim = read_vectors(file, {word for text in texts for word in text})
    tokens = [word for text in texts for word in text]
    unknown_only = sum(not any(word in known for word in text) for text in texts)
    coverage = sum(word in known for word in tokens) / len(tokens)
    return Result(vectors=averages(texts, known, dim), info={"dim": dim, "coverage": coverage, "sentences_without_a_known_word": unknown_only})


def read_vectors(file, wanted):
    """({word: (D,) float32} for the wanted words, D) from GloVe text (optionally .gz). ValueError names a malformed line."""
    known, dim = {}, None
    opener = gzip.open if str(file).endswith(".gz") else open
    with opener(file, "rt", encoding="utf-8") as lines:
        try:
            for number, line in enumerate(lines, 1):
                word, *values = line.rstrip("\n").split(" ")
                dim = dim or len(values)
                if len(values) != dim:
                    raise ValueError(f"{file}, line {number}: {len(values)} numbers after {word!r}, expected {dim} as in the first line")
                if word in wanted:
                    known[word] = _numbers(values, f"{file}, line {number}: the vector of {word!r} is not {dim} numbers")
        except UnicodeDecodeError as error:
            raise ValueError(f"{file} is not text in UTF-8: expected .txt or .txt.gz (a zip is read through `url` and `member`)") from error
    if not dim:
        raise ValueError(f"{file} holds no word vectors: expected lines of a word and its numbers, separated by single spaces")
    return known, dim


def _numbers(values, complaint):
    try:
        return np.array(values, dtype=np.float32)
    except ValueError:
        raise ValueError(complaint) from None


def averages(texts, known, dim):
    """Mean vector of each text's words, unknown words as zeros -> (S, dim) float32."""
    zero = np.zeros(dim, dtype=np.float32)
    return np.stack([np.mean([known.get(word, zero) for word in text], axis=0) for text in texts])


BASELINES = {"overlap": overlap, "random": random_vectors, "vectors": word_vectors}


def run(entry, name, pairs, sentences):
    """The result of a catalogue entry. ValueError for an unknown kind."""
    what = f"baseline {name}"
    if entry.kind not in BASELINES:
        raise ValueError(f"{what}: kind is {entry.kind!r}, expected one of {', '.join(BASELINES)}")
    return BASELINES[entry.kind](entry, pairs, sentences, what)


def write(folder, name, result):
    """vectors.parquet (C4) or scores.parquet (a column a measure, a row a pair), and info.json."""
    folder = Path(folder)
    if result.vectors is not None:
        info = {"encoder": name, "pooling": "mean", "layers": False}
        vectors.write(folder / "vectors.parquet", np.arange(len(result.vectors)), {0: result.vectors}, info)
    if result.scores:
        with replacing(folder / "scores.parquet") as part:
            pl.DataFrame(result.scores).write_parquet(part)
    with replacing(folder / "info.json") as part:
        part.write_text(json.dumps({"encoder": name, **result.info}, indent=2) + "\n")
