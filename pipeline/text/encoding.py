"""Sentences -> what a model reads of them: token ids, and which of them stand for the sentence."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from pipeline.base.errors import InputError
from pipeline.catalog.entries import Model
from pipeline.engine.local import LOCAL
from pipeline.formats.arrays import on_disk
from pipeline.formats.ragged import Ragged, offsets_of
from pipeline.formats.tokens import Tokens
from pipeline.text.frames import Frame, frame_of
from pipeline.text.settings import Tokenize, template_of
from pipeline.text.tokenizers import Tokenizer, tokenizer_of

if TYPE_CHECKING:
    from pipeline.engine.engines import Engine

SENTENCES_AT_ONCE = 4096
"""an item of the engine, whose ids are held as Python's numbers, which take ten times as much as those of an array"""
IDS_AT_ONCE = 1 << 22
"""that are sorted, to find those that are there"""


def tokenize(sentences: pl.DataFrame, entry: Model, name: str, settings: Tokenize, engine: "Engine" = LOCAL) -> Tokens:
    """The token ids of the sentences of C2 for a model of the catalogue, by its entry and name."""
    tokenizer = tokenizer_of(entry, name)
    slices = [slice(first, first + SENTENCES_AT_ONCE) for first in range(0, len(sentences), SENTENCES_AT_ONCE)]
    texts = (sentences["text"][some].to_list() for some in slices)
    sizes = [len(range(len(sentences))[some]) for some in slices]
    start = Encoding(entry, name, settings, tokenizer)
    encoded = joined(engine.each(start, texts, f"tokenize {name}", "sentence", sizes))
    fingerprint: dict[str, Any] = {"tokenizer": tokenizer.fingerprint, "bos": entry.bos}
    if (template := template_of(entry.template, settings)) is not None:
        fingerprint["template"] = str(template)
    return Tokens(
        model=name,
        sentence_ids=sentences["sentence_id"].to_numpy(),
        ids=encoded.ids,
        pieces=pieces_of(encoded.ids, tokenizer),
        truncated=encoded.truncated,
        fingerprint=fingerprint,
        source=tokenizer.source,
        spans=encoded.spans,
        slots=encoded.slots,
        ends=encoded.ends,
    )


@dataclass(frozen=True)
class Encoded:
    """What a model reads of S texts."""

    ids: Ragged
    """S arrays of int32: BOS, special tokens, template and text"""
    truncated: np.ndarray
    """whose text was cut, (S,) bool"""
    spans: np.ndarray
    """of each the first token that is pooled, and the one after the last, (S, 2)"""
    slots: np.ndarray
    """the same of the text itself, the last copy of it, (S, 2)"""
    ends: tuple[list[int], list[int]]
    """BOS and special tokens before and after every text"""


@dataclass(frozen=True)
class Encoding:
    """What encodes texts for a model of the catalogue."""

    entry: Model
    name: str
    settings: Tokenize
    tokenizer: Tokenizer | None = None
    """None in another process, to which it cannot be sent: it is opened there"""

    def __reduce__(self) -> tuple:
        return Encoding, (self.entry, self.name, self.settings)

    def __call__(self) -> Callable[[list[str]], Encoded]:
        """The function of some texts."""
        tokenizer = self.tokenizer or tokenizer_of(self.entry, self.name)
        return lambda texts: encode(texts, tokenizer, self.settings, self.entry.bos, self.entry.template)


def joined(parts: Iterable[Encoded]) -> Encoded:
    """The texts of several parts, one after the other; their ids lie on disk."""
    rest = []

    def values() -> Iterator[np.ndarray]:
        for part in parts:
            rest.append((part.ids.lengths, part.truncated, part.spans, part.slots, part.ends))
            yield part.ids.values

    ids = on_disk(values())
    *arrays, ends = zip(*rest)
    lengths, truncated, spans, slots = map(np.concatenate, arrays)
    return Encoded(Ragged(ids, offsets_of(lengths)), truncated, spans, slots, ends[0])


def encode(
    texts: list[str], tokenizer: Tokenizer, settings: Tokenize, bos: int | None = None, template: str | None = None
) -> Encoded:
    """S texts -> their ids, each after the token `bos` where there is one, in a template.

    template: a name or a text, as an entry has it; None for that of the settings. Truncation cuts the text,
    in all its copies, and nothing that stands around it. InputError shows a text that gives no token, or more than
    `max_tokens` when truncation is off.
    """
    if bos is not None and list(tokenizer.ends[0][:1]) == [bos]:
        raise InputError(
            f"the tokenizer puts token {bos} before every sentence itself (special_tokens: true), and so does `bos`: "
            "leave one of them out"
        )
    frame = frame_of(template_of(template, settings), bos, tokenizer.ends, tokenizer.encode)
    changed = texts if tokenizer.control is None else list(map(tokenizer.control, texts))
    parts = (changed[first : first + SENTENCES_AT_ONCE] for first in range(0, len(texts), SENTENCES_AT_ONCE))
    ids = Ragged.joined([Ragged.of(tokenizer.encode(part)) for part in parts])
    lengths = ids.lengths
    truncated = frame.fixed + frame.copies * lengths > settings.max_tokens
    if truncated.any():
        most = _most(texts, lengths, truncated, frame, settings)
        whole, lengths = lengths, np.where(truncated, np.minimum(lengths, most), lengths)
        first = whole - lengths if tokenizer.truncation_side == "left" else np.zeros_like(lengths)
        ids = ids.within(np.stack([first, first + lengths], axis=1))
    spans = frame.spans(lengths)
    without = (spans[:, 0] == spans[:, 1]) | (lengths + sum(map(len, frame.ends)) == 0)
    if without.any():
        raise InputError(
            f"sentence {texts[int(without.argmax())]!r} has no tokens: remove it, or give the model a `bos` in "
            "catalog.yaml"
        )
    spans, slots = spans.astype(np.int32), frame.slots(lengths).astype(np.int32)
    return Encoded(frame.around(ids), truncated, spans, slots, frame.ends)


def _most(texts: list[str], lengths: np.ndarray, truncated: np.ndarray, frame: Frame, settings: Tokenize) -> int:
    """The tokens that a text that is too long is cut to. InputError where none may be cut, or nothing would be left."""
    if not settings.truncate:
        longest = int(lengths.argmax())
        raise InputError(
            f"{truncated.sum()} sentences are longer than tokenize.max_tokens = {settings.max_tokens}; the longest has "
            f"{frame.fixed + frame.copies * lengths[longest]} tokens ({texts[longest][:60]!r}...). Raise the limit, or "
            "set tokenize.truncate to true"
        )
    most = (settings.max_tokens - frame.fixed) // frame.copies
    if most < 1:
        raise InputError(
            f"{frame.fixed} tokens stand around every sentence, so tokenize.max_tokens = {settings.max_tokens} leaves "
            f"none for it: raise it to {frame.fixed + frame.copies} at least"
        )
    return most


def pieces_of(ids: Sequence[np.ndarray], tokenizer: Tokenizer) -> dict[int, str]:
    """Ids of S sentences -> the text of each token that is there."""
    values = Ragged.of(ids).values
    parts = (values[first : first + IDS_AT_ONCE] for first in range(0, len(values), IDS_AT_ONCE))
    found = np.unique(np.concatenate([np.unique(part) for part in parts]))
    return {token: tokenizer.piece(token) for token in found.tolist()}
