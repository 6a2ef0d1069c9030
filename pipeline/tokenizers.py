"""Sentences -> token ids. TOKENIZERS maps a kind to a function (entry fields) -> Tokenizer."""

import importlib.metadata
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.catalog import Model, digest, local, one_source, reason, snapshot
from pipeline.files import replacing
from pipeline.params import at_least

FILES = ["*.json", "*.txt", "*.model"]  # what a tokenizer may consist of in a hub repository


@dataclass(frozen=True)
class Tokenize:
    """Section `tokenize` of params.yaml."""

    max_tokens: int
    """longest sentence, in tokens"""
    truncate: bool
    """cut longer sentences instead of stopping; the report counts them"""

    def __post_init__(self):
        at_least("tokenize", self, max_tokens=1)


@dataclass(frozen=True)
class Tokenizer:
    encode: Callable[[list[str]], list[list[int]]]
    piece: Callable[[int], str]
    """the text of one token, for people to read; a token of part of a character has none of its own"""
    fingerprint: dict
    """what determines the ids: part of the key of the dump (contract C6)"""


def world(folder, special_tokens):
    """RWKV's World vocabulary: greedy longest match over bytes, 65,536 ids."""
    from pyrwkv_tokenizer import RWKVTokenizer

    version = importlib.metadata.version("pyrwkv-tokenizer")
    tokenizer = RWKVTokenizer()
    pieces = {number: piece for piece, number in tokenizer.get_vocab().items()}  # its decode aborts on part of a character
    return Tokenizer(tokenizer.encode_batch, lambda one: pieces.get(one, "\ufffd"), {"kind": "world", "pyrwkv-tokenizer": version})


def encoded(encoding):
    """The bytes of the text in an encoding as ids 0..255 (UTF-8, or UTF-16-LE for some small test checkpoints)."""
    return lambda folder, special_tokens: Tokenizer(lambda texts: [list(text.encode(encoding)) for text in texts], chr, {"kind": encoding})


def hf(folder, special_tokens):
    """The tokenizer of a folder in the hub's layout, through transformers, without remote code."""
    from transformers import AutoTokenizer, logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # it warns of model types that it does not know, such as our own; the tokenizer needs none
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (ValueError, OSError, KeyError) as error:
        raise ValueError(
            f"no tokenizer could be loaded from {folder} without remote code ({reason(error)}). "
            f"Name one with `tokenizer:` in catalog.yaml: {', '.join(TOKENIZERS)}"
        ) from error
    finally:
        logging.set_verbosity(verbosity)
    files = [f for pattern in ("*token*.json", "vocab*", "merges.txt", "*.model") for f in Path(folder).glob(pattern)]
    return Tokenizer(
        lambda texts: tokenizer(texts, add_special_tokens=special_tokens)["input_ids"],
        lambda one: tokenizer.decode([one]),
        {"kind": "hf", "sha256": digest(files), "special_tokens": special_tokens},
    )


def gpt2(folder, special_tokens):
    """GPT-2's byte-level BPE from vocab.json and merges.txt."""
    from tokenizers import ByteLevelBPETokenizer

    files = [Path(folder) / "vocab.json", Path(folder) / "merges.txt"]
    for file in files:
        local(file, "tokenizer gpt2")
    tokenizer = ByteLevelBPETokenizer(*map(str, files))
    return Tokenizer(
        lambda texts: [e.ids for e in tokenizer.encode_batch(texts)], lambda one: tokenizer.decode([one]), {"kind": "gpt2", "sha256": digest(files)}
    )


TOKENIZERS = {"world": world, "hf": hf, "gpt2": gpt2, "bytes": encoded("utf-8"), "utf-16-le": encoded("utf-16-le")}
NEED_FILES = ("hf", "gpt2")


def tokenizer_of(entry: Model, name):
    """The tokenizer that a catalogue entry names, or the model's own. ValueError for an unknown kind."""
    spec = {"kind": entry.tokenizer} if isinstance(entry.tokenizer, str) else dict(entry.tokenizer)
    kind = spec.pop("kind", None)
    if kind not in TOKENIZERS:
        raise ValueError(f"model {name}: tokenizer {kind!r} is not one of {', '.join(TOKENIZERS)}. Mend `tokenizer` in catalog.yaml")
    if unknown := spec.keys() - {"hub", "path", "revision"}:
        raise ValueError(f"model {name}: tokenizer has unknown {', '.join(sorted(unknown))}: it takes kind and hub (with revision) or path")
    folder, what = None, f"tokenizer of model {name}"
    if kind in NEED_FILES:
        hub, path, revision = (spec.get(k) for k in ("hub", "path", "revision")) if spec else (entry.hub, entry.path, entry.revision)
        source = one_source(what, {"hub": hub, "path": path})
        folder = snapshot(hub, revision, FILES, what) if source == "hub" else local(path, what)
    return TOKENIZERS[kind](folder, entry.special_tokens)


def tokenize(texts, tokenizer: Tokenizer, params: Tokenize, bos=None):
    """Texts -> (ids, truncated): a list of int32 arrays and a boolean array. A text that gives no token, or more than
    `max_tokens` when truncation is off, is a ValueError that shows the text.
    """
    ids = [np.array(([] if bos is None else [bos]) + list(one), dtype=np.int32) for one in tokenizer.encode(texts)]
    lengths = np.array([len(one) for one in ids])
    if (lengths == 0).any():
        raise ValueError(f"sentence {texts[int(lengths.argmin())]!r} has no tokens: remove it, or give the model a `bos` in catalog.yaml")
    truncated = lengths > params.max_tokens
    if truncated.any() and not params.truncate:
        longest = int(lengths.argmax())
        raise ValueError(
            f"{truncated.sum()} sentences are longer than tokenize.max_tokens = {params.max_tokens}; the longest has {lengths[longest]} tokens "
            f"({texts[longest][:60]!r}...). Raise the limit, or set tokenize.truncate to true"
        )
    return [one[: params.max_tokens] for one in ids], truncated


def pieces_of(ids, tokenizer: Tokenizer):
    """ids of S sentences -> the text of each of their tokens, a list of strings a sentence."""
    text = {one: tokenizer.piece(one) for one in np.unique(np.concatenate(ids)).tolist()}
    return [[text[one] for one in sentence.tolist()] for sentence in ids]


def write(path, sentence_ids, ids, pieces, truncated, info):
    """Tokens of one model as Parquet: sentence_id, ids (list<int32>), pieces (list<string>), truncated; `info` goes into the file's metadata."""
    columns = {"sentence_id": pa.array(sentence_ids, pa.int64()), "ids": pa.array(ids, pa.list_(pa.int32())), "pieces": pa.array(pieces, pa.list_(pa.string()))}
    table = pa.table(columns | {"truncated": pa.array(truncated)})
    with replacing(path) as part:
        pq.write_table(table.replace_schema_metadata({"drillcore": json.dumps(info, sort_keys=True)}), part)


def read_pieces(path):
    """-> {sentence_id: list of the text of each token}."""
    table = pq.read_table(path, columns=["sentence_id", "pieces"])
    return dict(zip(table["sentence_id"].to_pylist(), table["pieces"].to_pylist()))


def read(path):
    """-> (sentence_ids (S,), list of S int32 arrays of ids, truncated (S,), info)."""
    table = pq.read_table(path)
    ids = table["ids"].combine_chunks()
    flat, offsets = ids.values.to_numpy(), ids.offsets.to_numpy()
    info = json.loads(table.schema.metadata[b"drillcore"])
    return table["sentence_id"].to_numpy(), np.split(flat, offsets[1:-1]), table["truncated"].to_numpy(), info
