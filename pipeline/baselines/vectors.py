"""Averaged word vectors: random ones, and those of a file in GloVe's text format."""

import gzip
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import polars as pl

from pipeline.base.errors import InputError, first_line
from pipeline.baselines.overlap import words
from pipeline.catalog import fetch
from pipeline.catalog.entries import Baseline, source_of
from pipeline.formats.baselines import Result


def random_vectors(entry: Baseline, pairs: pl.DataFrame, sentences: pl.DataFrame, what: str) -> Result:
    """A Gaussian vector for each word, drawn from the seed and the word alone, averaged: words without any meaning."""
    texts = sentences["text"]
    drawn = {word: _drawn(word, entry.seed, entry.dim) for word in vocabulary(texts)}
    return Result(vectors=averages(texts, drawn, entry.dim), info={"dim": entry.dim, "seed": entry.seed})


def _drawn(word: str, seed: int, dim: int) -> np.ndarray:
    """The vector of a word, the same whatever the other words -> (dim,) float32."""
    return np.random.default_rng([seed, zlib.crc32(word.encode())]).standard_normal(dim, dtype=np.float32)


def word_vectors(entry: Baseline, pairs: pl.DataFrame, sentences: pl.DataFrame, what: str) -> Result:
    """Averaged word vectors of a file (GloVe: Pennington et al. 2014); unknown words count as zero vectors."""
    file = located(entry, what)
    texts = sentences["text"]
    known, dim = read_vectors(file, vocabulary(texts))
    known_words = [sum(word in known for word in words(text)) for text in texts]
    info = {
        "dim": dim,
        "coverage": sum(known_words) / sum(len(words(text)) for text in texts),
        "sentences_without_a_known_word": known_words.count(0),
    }
    return Result(vectors=averages(texts, known, dim), info=info)


def located(entry: Baseline, what: str) -> Path:
    """The file of word vectors, downloaded first if the entry names a URL."""
    if source_of(entry, what) == "path":
        return fetch.local(str(entry.path), what)
    return fetch.download(str(entry.url), entry.member, entry.sha256)


def read_vectors(file: str | Path, wanted: set[str]) -> tuple[dict[str, np.ndarray], int]:
    """Word vectors as text, of GloVe, word2vec or fastText, optionally .gz -> ({word: (D,) float32} for the wanted
    words, D).

    word2vec's and fastText's files begin with a line of two numbers, words and dimensions. A word may hold blanks, as
    in GloVe's 840B: the last D fields are the vector. InputError names a bad line.
    """
    try:
        opener = gzip.open if str(file).endswith(".gz") else open
        with opener(file, "rt", encoding="utf-8-sig", newline="\n") as lines:  # a word may be another line end
            return _parsed(lines, wanted, file)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{file} is not text in UTF-8: expected .txt or .txt.gz (a zip is read through `url` and `member`)"
        ) from error
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise InputError(f"{file} is not a whole gzip file ({first_line(error)}): get it again") from error


def _parsed(lines: Iterable[str], wanted: set[str], file: str | Path) -> tuple[dict[str, np.ndarray], int]:
    """Lines of a word and its numbers, as `read_vectors` gives them."""
    known: dict[str, np.ndarray] = {}
    dim = 0
    for number, fields in _lines_of(lines):
        dim = dim or len(fields) - 1
        word, values = " ".join(fields[: len(fields) - dim]), fields[len(fields) - dim :]
        if len(fields) <= dim or any(_is_number(field) for field in fields[1 : len(fields) - dim]):
            raise InputError(
                f"{file}, line {number}: {len(fields) - 1} numbers after {fields[0]!r}, expected {dim} as in the first "
                "line"
            )
        if word not in wanted:
            continue
        try:
            vector = np.array(values, dtype=np.float32)
        except ValueError as error:
            raise InputError(f"{file}, line {number}: the vector of {word!r} is not {dim} numbers") from error
        if not np.isfinite(vector).all():
            raise InputError(f"{file}, line {number}: the vector of {word!r} holds NaN or infinity: mend that line")
        if not np.array_equal(known.setdefault(word, vector), vector):
            raise InputError(f"{file}, line {number}: {word!r} has another vector further up: remove one of them")
    if not dim:
        raise InputError(
            f"{file} holds no word vectors: expected lines of a word and its numbers, separated by single spaces"
        )
    return known, dim


def _lines_of(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """(line number, fields) but for the first line where it counts words and dimensions."""
    header: list[str] = []
    for number, line in enumerate(lines, 1):
        fields = line.rstrip("\r\n ").split(" ")
        if number == 1 and len(fields) == 2 and all(field.isdigit() for field in fields):
            header = fields
            continue
        if number == 2 and header and len(fields) == 2:
            yield 1, header  # vectors of one dimension, the first of a word that is a number
        yield number, fields


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def vocabulary(texts: pl.Series) -> set[str]:
    """The distinct words of some texts."""
    return {word for text in texts for word in words(text)}


def averages(texts: pl.Series, known: Mapping[str, np.ndarray], dim: int) -> np.ndarray:
    """Mean vector of the words of each of S texts, unknown words as zeros -> (S, dim) float32.

    The words of a text are held while it is averaged: those of all texts take many times as much as the texts.
    """
    zero, vectors = np.zeros(dim, dtype=np.float32), np.empty((len(texts), dim), dtype=np.float32)
    for row, text in zip(vectors, texts):
        np.mean([known.get(word, zero) for word in words(text)], axis=0, out=row)
    return vectors
