"""Templates: text that a model reads around a sentence, and which part of it stands for the sentence.

A template is text with the slot `{text}`, where the sentence comes, once or more often. What is pooled is

- the slot, the last one where there are several;
- or what stands between `[[` and `]]`, where a template has these marks;
- or the one token before `{last}`, where it has that mark.

The network reads all of it, and the dump keeps the states of what is pooled alone.
"""

import re
from dataclasses import dataclass

from pipeline.base.errors import InputError, did_you_mean

SLOT, LAST, OPEN, CLOSE = "{text}", "{last}", "[[", "]]"
NONE = "none"
WORD = ' means in one word:"{last}'

TEMPLATES: dict[str, str | None] = {
    NONE: None,
    "prompteol": f'This sentence : "{{text}}"{WORD}',
    "prompteol_one_shot": (
        f'This sentence : "A jockey riding a horse." means in one word:"Equestrian".This sentence : "{{text}}"{WORD}'
    ),
    "pretended_cot": f'After thinking step by step , this sentence : "{{text}}"{WORD}',
    "knowledge": (
        "The essence of a sentence is often captured by its main subjects and actions, while descriptive terms provide "
        f'additional but less central details. With this in mind , this sentence : "{{text}}"{WORD}'
    ),
    "echo": "Document:{text}\nDocument again:[[{text}]]",
    "task": "Instruct: Retrieve semantically similar text.\nQuery:{text}",
}
"""Name -> text, letter for letter from its authors' code, but for our marks; None reads the sentence alone.

prompteol, prompteol_one_shot: arXiv 2307.16645, README.md and evaluation.py of kongds/scaling_sentemb. That code also
ends a sentence with a full stop, turns a question mark at its end into one, and double quotes into single ones; we
leave a sentence as it is.
pretended_cot, knowledge: arXiv 2404.03921, settings.py of ZBWpro/PretCoTandKE.
echo: arXiv 2402.15449, the template `document` in README.md of jakespringer/echo-embeddings, which encodes the parts
one by one, as we do, and pools the end token, too.
task: mteb's instruction for semantic similarity, between the words that E5's instructions stand in (those from public
code that calls it, not from its authors); without the blank that is usual after "Query:", which would be a token of its
own.
"""


@dataclass(frozen=True)
class Template:
    """A template in its parts."""

    parts: tuple[str | None, ...]
    """text, or None for the sentence"""
    start: int
    """the first part that is pooled"""
    stop: int
    """the part after the last one that is"""
    last: bool = False
    """whether only the last token of them is pooled"""

    @property
    def slot(self) -> int:
        """The part that is the sentence; the last one where there are several."""
        return max(i for i, part in enumerate(self.parts) if part is None)

    def __str__(self) -> str:
        """Its text, with marks also where it was given without: the same for templates that do the same."""
        texts = [SLOT if part is None else part for part in self.parts]
        if self.last:
            texts.insert(self.stop, LAST)
        else:
            texts[self.start : self.stop] = [OPEN, *texts[self.start : self.stop], CLOSE]
        return "".join(texts)


def template_named(value: str, what: str) -> Template | None:
    """A name of TEMPLATES, or a text with a slot -> the template; None for the one that is none.

    InputError says `what` is wrong: an unknown name, a text without a slot, marks that are not one pair around a part.
    """
    text = TEMPLATES.get(value, value)
    if text is None:
        return None
    if SLOT not in text:
        raise InputError(
            f"{what} is {value!r}: {did_you_mean(value, TEMPLATES)}, or a text of your own with {SLOT} in it"
        )
    try:
        return _parsed(text)
    except InputError as error:
        raise InputError(f"{what} is {value!r}: {error}") from error


def _parsed(text: str) -> Template:
    parts: list[str | None] = []
    at: dict[str, int] = {}  # mark -> the number of parts before it
    for piece in filter(None, re.split(r"(\{text\}|\{last\}|\[\[|\]\])", text)):
        if piece in (LAST, OPEN, CLOSE):
            if piece in at:
                raise InputError(f"it has {piece} twice: mark one part, once")
            at[piece] = len(parts)
        else:
            parts.append(None if piece == SLOT else piece)
    if LAST in at and len(at) > 1:
        raise InputError(f"it has {LAST} and {OPEN} or {CLOSE}: mark one part, or the token before {LAST}")
    if at.get(LAST) == 0:
        raise InputError(f"nothing is before {LAST}: put it after the token that is to be pooled")
    if LAST in at:
        return Template(tuple(parts), 0, at[LAST], last=True)
    if (OPEN in at) != (CLOSE in at):
        raise InputError(
            f"it has {OPEN if OPEN in at else CLOSE} alone: put {OPEN} before and {CLOSE} after what is pooled"
        )
    if not at:
        slot = max(i for i, part in enumerate(parts) if part is None)
        return Template(tuple(parts), slot, slot + 1)
    if at[OPEN] >= at[CLOSE]:
        raise InputError(f"nothing is between {OPEN} and {CLOSE}, in this order: put them around what is pooled")
    return Template(tuple(parts), at[OPEN], at[CLOSE])
