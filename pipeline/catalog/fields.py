"""Fields of entries that are put into one form, or refused, as soon as an entry is read."""

import re

from pipeline.base.errors import InputError


def as_text(entry: object, *names: str) -> None:
    """Turn fields that YAML may read as numbers or dates into text."""
    for name in names:
        if (value := getattr(entry, name)) is not None:
            object.__setattr__(entry, name, str(value))  # the dataclasses are frozen


def as_sha256(entry: object, name: str, url: str | None) -> None:
    """Put the sha256 of what a URL gives into small letters. InputError where it is none, or where there is no URL."""
    if (value := getattr(entry, name)) is None:
        return
    if url is None:
        raise InputError(f"{name} is given without `url`: it is that of a download, leave it out for a local file")
    if not re.fullmatch("[0-9a-fA-F]{64}", value):
        raise InputError(f"{name} is {value!r}, expected 64 hexadecimal digits, as sha256sum prints them")
    object.__setattr__(entry, name, value.lower())
