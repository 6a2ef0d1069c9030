"""Sections `prepare` and `tokenize` of params.yaml."""

from dataclasses import dataclass

from pipeline.base.errors import InputError
from pipeline.base.settings import at_least
from pipeline.text.templates import NONE, Template, template_named


@dataclass(frozen=True)
class Prepare:
    """Section `prepare`: which pairs of the dataset are used."""

    limit: int | None
    """keep only the first so many pairs of each split; null keeps all"""

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 2:
            raise InputError(f"prepare.limit is {self.limit}: at least 2 pairs of a split are needed for a correlation")


@dataclass(frozen=True)
class Tokenize:
    """Section `tokenize`: how long a sentence may be."""

    max_tokens: int
    """longest sentence, in tokens, with all that stands around it"""
    truncate: bool
    """cut longer sentences at the end instead of stopping, at the beginning where a model's own tokenizer has
    `truncation_side: left`; the report counts them
    """
    template: str = NONE
    """text around every sentence that the model reads too: none, the name of one, or a text of one's own with `{text}`
    where the sentence comes; a model's entry may name another
    """

    def __post_init__(self) -> None:
        at_least("tokenize", self, max_tokens=1)
        template_named(self.template, "tokenize.template")


def template_of(named: str | None, settings: Tokenize) -> Template | None:
    """The template that an entry names, or else that of the settings; None for none. InputError for a wrong one."""
    return template_named(settings.template if named is None else named, "template")
