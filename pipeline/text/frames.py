"""What stands around a sentence in token ids: BOS, special tokens, a template; and where the sentence then is.

Its parts are encoded one by one and put one after the other, so the tokens of a sentence are those that it has alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.base.errors import InputError
from pipeline.formats.ragged import Ragged
from pipeline.text.templates import Template

Part = np.ndarray | None
"""token ids (T,), or None for the sentence"""


@dataclass(frozen=True)
class Frame:
    """The parts of what is read, in their order."""

    before: np.ndarray
    """BOS and special tokens at the beginning"""
    parts: Sequence[Part]
    """of the template; the sentence alone where there is none"""
    after: np.ndarray
    """special tokens at the end"""
    template: Template | None

    @property
    def ends(self) -> tuple[list[int], list[int]]:
        """What is read before and after a sentence without a template."""
        return self.before.tolist(), self.after.tolist()

    @property
    def copies(self) -> int:
        """How often a sentence is read."""
        return sum(part is None for part in self.parts)

    @property
    def fixed(self) -> int:
        """Tokens that are read with every sentence."""
        return len(self.before) + len(self.after) + sum(len(part) for part in self.parts if part is not None)

    def around(self, sentences: Ragged) -> Ragged:
        """The ids of S sentences -> those that are read with each."""
        return sentences.among([self.before, *self.parts, self.after])

    def edges(self, lengths: np.ndarray) -> np.ndarray:
        """Tokens of sentences (S,) -> where each part begins, and the last one ends, (S, parts + 1)."""
        sizes = [lengths if part is None else np.full_like(lengths, len(part)) for part in self.parts]
        return np.cumsum([np.full_like(lengths, len(self.before)), *sizes], axis=0).T

    def spans(self, lengths: np.ndarray) -> np.ndarray:
        """Tokens of sentences (S,) -> the first token that is pooled and the one after the last, (S, 2).

        Without a template these are all, BOS and special tokens among them.
        """
        edges = self.edges(lengths)
        if self.template is None:
            return np.stack([np.zeros_like(lengths), edges[:, -1] + len(self.after)], axis=1)
        start, stop = edges[:, self.template.start], edges[:, self.template.stop]
        return np.stack([stop - 1 if self.template.last else start, stop], axis=1)

    def slots(self, lengths: np.ndarray) -> np.ndarray:
        """The same of the sentence itself; of its last copy where it is read more than once."""
        slot = 0 if self.template is None else self.template.slot
        return self.edges(lengths)[:, slot : slot + 2]


def frame_of(
    template: Template | None, bos: int | None, ends: tuple[Sequence[int], Sequence[int]], encode: Callable
) -> Frame:
    """What stands around the sentences of a model.

    ends: special tokens before and after a text; encode: texts -> the ids of each. InputError for a template of which
    a text is pooled that gives no token.
    """
    before, after = ends
    texts = (None,) if template is None else template.parts
    parts = [None if text is None else np.array(encode([text])[0], dtype=np.int32) for text in texts]
    if template is not None:
        pooled = slice(template.start, template.stop)
        if all(part is not None and not len(part) for part in parts[pooled]):
            text = "".join(filter(None, texts[pooled]))
            raise InputError(f"template {str(template)!r} pools {text!r}, which gives no token here: mark another part")
    start = [] if bos is None else [bos]
    return Frame(np.array([*start, *before], dtype=np.int32), parts, np.array(after, dtype=np.int32), template)
