"""Sentences -> token ids. TOKENIZERS maps a kind to a function (folder of its files, special_tokens) -> Tokenizer."""

import importlib.metadata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pipeline.base.errors import InputError, first_line
from pipeline.catalog import fetch, revisions
from pipeline.catalog.entries import TOKENIZERS_FROM_FILES, Model, one_source, tokenizer_source
from pipeline.formats.tokens import Tokens
from pipeline.text.controls import shuffled_words
from pipeline.text.settings import Tokenize

FILES = ["*.json", "*.txt", "*.model"]
"""what a tokenizer may consist of in a hub repository"""
SENTENCES_AT_ONCE = 4096
"""whose ids are held as Python's numbers, which take ten times as much as those of an array"""
UNPRINTABLE = "\ufffd"
"""the piece of a token that is part of a character"""
PART_OF_A_CHARACTER = "Binary string (TODO)"
"""what pyrwkv_tokenizer's vocabulary says of such a token"""


@dataclass(frozen=True)
class Tokenizer:
    """Text -> ids and back, and what determines them."""

    encode: Callable[[list[str]], Sequence[Sequence[int]]]
    """S texts -> the ids of each"""
    piece: Callable[[int], str]
    """the text of one token, for people to read; a token of part of a character has none of its own"""
    fingerprint: dict[str, Any]
    """what determines the ids: part of the key of the dump (contract C6)"""
    shorten: Callable[[str, int], Sequence[int]] | None = None
    """a text and a number -> at most so many ids, with the special tokens at its end; None for a tokenizer that adds
    none, whose ids can be cut anywhere
    """
    source: dict[str, str] | None = None
    """the commit of the hub that its files are of; None for other tokenizers"""


def world(folder: Path | None, special_tokens: bool) -> Tokenizer:
    """RWKV's World vocabulary: greedy longest match over bytes, 65,536 ids."""
    from pyrwkv_tokenizer import RWKVTokenizer

    tokenizer = RWKVTokenizer()
    # a table of its own: the tokenizer's `decode` aborts on a token that is part of a character
    pieces = {number: piece for piece, number in tokenizer.get_vocab().items() if piece != PART_OF_A_CHARACTER}
    version = importlib.metadata.version("pyrwkv-tokenizer")
    return Tokenizer(
        encode=tokenizer.encode_batch,
        piece=lambda token: pieces.get(token, UNPRINTABLE),
        fingerprint={"kind": "world", "pyrwkv-tokenizer": version},
    )


def utf8_bytes(folder: Path | None, special_tokens: bool) -> Tokenizer:
    """The bytes of the text in UTF-8 as ids 0 to 255."""
    return _bytes_of("utf-8")


def utf16_le_bytes(folder: Path | None, special_tokens: bool) -> Tokenizer:
    """The bytes of the text in UTF-16, low byte first, as ids 0 to 255: what some small test checkpoints read."""
    return _bytes_of("utf-16-le")


def _bytes_of(encoding: str) -> Tokenizer:
    return Tokenizer(
        encode=lambda texts: [list(text.encode(encoding)) for text in texts],
        piece=chr,
        fingerprint={"kind": encoding},
    )


def hf(folder: Path | None, special_tokens: bool) -> Tokenizer:
    """The tokenizer of a folder in the hub's layout, through transformers, without remote code."""
    from transformers import AutoTokenizer, logging

    assert folder is not None
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # it warns of model types that it does not know, such as our own, and needs none
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # damaged files raise anything, down to TypeError
        raise InputError(
            f"no tokenizer could be loaded from {folder} without remote code ({first_line(error)}). "
            f"Name one with `tokenizer:` in catalog.yaml: {', '.join(TOKENIZERS)}"
        ) from error
    finally:
        logging.set_verbosity(verbosity)
    files = [file for pattern in ("*token*.json", "vocab*", "merges.txt", "*.model") for file in folder.glob(pattern)]
    return Tokenizer(
        encode=lambda texts: tokenizer(texts, add_special_tokens=special_tokens)["input_ids"],
        piece=lambda token: str(tokenizer.decode([token])),
        fingerprint={"kind": "hf", "sha256": fetch.digest(files), "special_tokens": special_tokens},
        shorten=(lambda text, most: tokenizer(text, truncation=True, max_length=most)["input_ids"])
        if special_tokens
        else None,
    )


def gpt2(folder: Path | None, special_tokens: bool) -> Tokenizer:
    """GPT-2's byte-level BPE from vocab.json and merges.txt."""
    from tokenizers import ByteLevelBPETokenizer

    assert folder is not None
    vocabulary, merges = (fetch.local(folder / name, "tokenizer gpt2") for name in ("vocab.json", "merges.txt"))
    try:
        tokenizer = ByteLevelBPETokenizer(str(vocabulary), str(merges))
    except Exception as error:  # the Rust library raises nothing narrower
        raise InputError(f"tokenizer gpt2: {folder} holds no vocabulary of GPT-2 ({first_line(error)})") from error
    return Tokenizer(
        encode=lambda texts: [encoding.ids for encoding in tokenizer.encode_batch(texts)],
        piece=lambda token: tokenizer.decode([token]),
        fingerprint={"kind": "gpt2", "sha256": fetch.digest([vocabulary, merges])},
    )


TOKENIZERS: dict[str, Callable[[Path | None, bool], Tokenizer]] = {
    "world": world,
    "hf": hf,
    "gpt2": gpt2,
    "bytes": utf8_bytes,
    "utf-16-le": utf16_le_bytes,
}
"""the kinds of catalog.entries.TOKENIZER_KINDS"""


def tokenizer_of(entry: Model, name: str) -> Tokenizer:
    """The tokenizer that a model's entry names, or the model's own, of words in the order that the entry asks for.

    InputError when its files cannot be had.
    """
    tokenizer = _named(entry, name)
    return tokenizer if entry.shuffle_words is None else shuffling(tokenizer, entry.shuffle_words)


def shuffling(tokenizer: Tokenizer, seed: int) -> Tokenizer:
    """A tokenizer that first puts the words of a text into another order."""
    shorten = tokenizer.shorten
    return replace(
        tokenizer,
        encode=lambda texts: tokenizer.encode([shuffled_words(text, seed) for text in texts]),
        fingerprint=tokenizer.fingerprint | {"shuffle_words": seed},
        shorten=None if shorten is None else lambda text, most: shorten(shuffled_words(text, seed), most),
    )


def _named(entry: Model, name: str) -> Tokenizer:
    source, what = tokenizer_source(entry), f"tokenizer of model {name}"
    if source.kind not in TOKENIZERS_FROM_FILES:
        return TOKENIZERS[source.kind](None, entry.special_tokens)
    if one_source(what, {"hub": source.hub, "path": source.path}) == "path":
        return TOKENIZERS[source.kind](fetch.local(str(source.path), what), entry.special_tokens)
    commit = revisions.commit_of(str(source.hub), source.revision, what)
    folder = fetch.snapshot(str(source.hub), commit, FILES, what)
    of_the_hub = revisions.source(str(source.hub), source.revision, commit)
    return replace(TOKENIZERS[source.kind](folder, entry.special_tokens), source=of_the_hub)


def tokenize(sentences: pl.DataFrame, entry: Model, name: str, settings: Tokenize) -> Tokens:
    """The token ids of the sentences of C2 for a model of the catalogue, by its entry and name."""
    tokenizer = tokenizer_of(entry, name)
    ids, truncated = encode(sentences["text"].to_list(), tokenizer, settings, entry.bos)
    return Tokens(
        model=name,
        sentence_ids=sentences["sentence_id"].to_numpy(),
        ids=ids,
        pieces=pieces_of(ids, tokenizer),
        truncated=truncated,
        fingerprint={"tokenizer": tokenizer.fingerprint, "bos": entry.bos},
        source=tokenizer.source,
    )


def encode(
    texts: list[str], tokenizer: Tokenizer, settings: Tokenize, bos: int | None = None
) -> tuple[list[np.ndarray], np.ndarray]:
    """S texts -> S arrays of int32, each after the token `bos` where there is one, and which were cut, (S,) bool.

    InputError shows a text that gives no token, or more than `max_tokens` when truncation is off.
    """
    start = [] if bos is None else [bos]
    parts = (texts[first : first + SENTENCES_AT_ONCE] for first in range(0, len(texts), SENTENCES_AT_ONCE))
    ids = [np.array([*start, *tokens], dtype=np.int32) for part in parts for tokens in tokenizer.encode(part)]
    if start and tokenizer.shorten is not None and all(tokens[1:2].tolist() == start for tokens in ids):
        raise InputError(
            f"the tokenizer puts token {bos} before every sentence itself (special_tokens: true), and so does `bos`: "
            "leave one of them out"
        )
    lengths = np.array([len(tokens) for tokens in ids])
    if (lengths == 0).any():
        raise InputError(
            f"sentence {texts[int(lengths.argmin())]!r} has no tokens: remove it, or give the model a `bos` in "
            "catalog.yaml"
        )
    truncated = lengths > settings.max_tokens
    if truncated.any() and not settings.truncate:
        longest = int(lengths.argmax())
        raise InputError(
            f"{truncated.sum()} sentences are longer than tokenize.max_tokens = {settings.max_tokens}; the longest has "
            f"{lengths[longest]} tokens ({texts[longest][:60]!r}...). Raise the limit, or set tokenize.truncate to true"
        )
    for i in np.flatnonzero(truncated):
        most = settings.max_tokens - len(start)
        kept = ids[i][len(start) :][:most] if tokenizer.shorten is None else tokenizer.shorten(texts[i], most)
        ids[i] = np.array([*start, *kept], dtype=np.int32)
    return ids, truncated


def pieces_of(ids: list[np.ndarray], tokenizer: Tokenizer) -> dict[int, str]:
    """Ids of S sentences -> the text of each token that is there."""
    return {token: tokenizer.piece(token) for token in np.unique(np.concatenate(ids)).tolist()}
