"""Readouts by the names that catalog.yaml and params.yaml have, without the code that runs them.

A name is a key of `registry.READOUTS`, with a number for each capital at its end: token_prepending_K is written
token_prepending_6.
"""

import re

from pipeline.base.errors import InputError, did_you_mean

NAMES = (
    "plain",
    "token_prepending_K",
    "values",
    "attention_output",
    "state_echo",
)
"""the keys of `registry.READOUTS`, apart from it so that settings are checked without torch"""


def parsed(text: str, where: str | None = None) -> tuple[str, tuple[int, ...]]:
    """A name -> its key and its numbers: token_prepending_6 -> token_prepending_K, (6,).

    InputError that names the near misses, and `where` the name stands.
    """
    match = re.fullmatch(r"(.*?)((?:_(?:0|[1-9][0-9]*))*)", str(text), re.DOTALL)
    assert match is not None  # both parts may be empty
    numbers = tuple(int(digits) for digits in match[2].split("_")[1:])
    for name in NAMES:
        stem = re.sub(r"(_[A-Z])+$", "", name)
        if match[1] == stem and len(numbers) == len(re.findall(r"_[A-Z](?=_|$)", name)):
            return name, numbers
    of = f" of {where}" if where else ""
    raise InputError(f"readout{of} is {text!r}: {did_you_mean(text, NAMES)} (K is a number)")
