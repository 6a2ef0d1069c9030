"""Text -> token ids. TOKENIZERS maps a kind to a function (folder of its files, special_tokens) -> Tokenizer."""

import importlib.metadata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.base.errors import InputError, first_line
from pipeline.catalog import fetch, revisions
from pipeline.catalog.entries import TOKENIZERS_FROM_FILES, Model, one_source, tokenizer_source
from pipeline.text.controls import shuffled_words

FILES = ["*.json", "*.txt", "*.model"]
"""what a tokenizer may consist of in a hub repository"""
PROBE = "a"
"""a text that shows the special tokens around it"""
UNPRINTABLE = "\ufffd"
"""the piece of a token that is part of a character"""
PART_OF_A_CHARACTER = "Binary string (TODO)"
"""what pyrwkv_tokenizer's vocabulary says of such a token"""


@dataclass(frozen=True)
class Tokenizer:
    """Text -> ids and back, and what determines them."""

    encode: Callable[[list[str]], Sequence[Sequence[int]]]
    """S texts -> the ids of each, without special tokens"""
    piece: Callable[[int], str]
    """the text of one token, for people to read; a token of part of a character has none of its own"""
    fingerprint: dict[str, Any]
    """what determines the ids: part of the key of the dump (contract C6)"""
    ends: tuple[Sequence[int], Sequence[int]] = ((), ())
    """special tokens before and after a text, where the entry asks for them"""
    source: dict[str, str] | None = None
    """the commit of the hub that its files are of; None for other tokenizers"""
    truncation_side: str = "right"
    """where a text that is too long is cut: "right" at its end, "left" at its beginning"""
    control: Callable[[str], str] | None = None
    """what an entry does to every sentence before it is encoded; None for most"""


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
        encode=lambda texts: tokenizer(texts, add_special_tokens=False)["input_ids"],
        piece=lambda token: str(tokenizer.decode([token])),
        fingerprint={"kind": "hf", "sha256": fetch.digest(files), "special_tokens": special_tokens},
        ends=_ends_of(tokenizer, folder) if special_tokens else ((), ()),
        truncation_side=tokenizer.truncation_side,
    )


def _ends_of(tokenizer: Callable, folder: Path) -> tuple[list[int], list[int]]:
    """The special tokens that a tokenizer of transformers puts before and after a text."""
    bare, whole = (tokenizer(PROBE, add_special_tokens=asked)["input_ids"] for asked in (False, True))
    for start in range(len(whole) - len(bare) + 1):
        if whole[start : start + len(bare)] == bare:
            return whole[:start], whole[start + len(bare) :]
    raise InputError(
        f"the tokenizer of {folder} puts special tokens elsewhere than around a text: special_tokens: false"
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
    return replace(
        tokenizer,
        control=lambda text: shuffled_words(text, seed),
        fingerprint=tokenizer.fingerprint | {"shuffle_words": seed},
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
