"""Entries put into catalog.yaml as text: comments, order, anchors and every other character stay.

A library that writes YAML back moves comments behind an anchor to a line of their own (ruamel.yaml 0.19), so lines are
added here, and what they are read as is compared with what they should say.
"""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from pipeline.base.errors import InputError


def with_entry(text: str, kind: str, name: str, fields: Mapping[str, Any]) -> str:
    """The text of catalog.yaml with one more entry at the end of `kind` (datasets, models or baselines).

    InputError where the file is laid out so that a line cannot be added: it names the lines to add by hand.
    """
    lines = text.split("\n")
    start = next((number for number, line in enumerate(lines) if re.match(rf"{kind}:\s*(#.*)?$", line)), None)
    if start is None:
        lines = [*text.rstrip("\n").split("\n"), "", f"{kind}:"]
        start = len(lines) - 1
    end = _end_of(lines, start)
    indent = next((re.match(" +", line) for line in lines[start + 1 : end] if re.match(r" +[^ #]", line)), None)
    block = lines_of(name, fields, indent[0] if indent else "  ")
    changed = "\n".join([*lines[:end], *([""] if end > start + 1 else []), *block, *lines[end:]])
    if _read(changed) != _expected(text, kind, name, fields):
        raise InputError(
            f"an entry cannot be added to catalog.yaml as it is laid out: add it below {kind} yourself: "
            f"{yaml.safe_dump({name: dict(fields)}, default_flow_style=True, sort_keys=False, width=10**6).strip()}"
        )
    return changed


def _end_of(lines: list[str], start: int) -> int:
    """The number of the line behind the last one of the section that begins at `start`."""
    rest = range(start + 1, len(lines))
    end = next((number for number in rest if re.match(r"[^\s#]", lines[number])), len(lines))
    while end > start + 1 and not lines[end - 1].startswith(" "):  # blank lines and comments of what follows
        end -= 1
    while end > start + 1 and not lines[end - 1].strip():
        end -= 1
    return end


def lines_of(name: str, fields: Mapping[str, Any], indent: str) -> list[str]:
    """An entry as lines of YAML: its fields one below the other, a mapping among them on one line."""
    lines = [f"{indent}{name}:"]
    for key, value in fields.items():
        shown = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=True)
        lines.append(f"{indent}{indent}{key}: {shown.removesuffix(chr(10)).removesuffix('...').strip()}")
    return lines


def _read(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None


def _expected(text: str, kind: str, name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    values = _read(text) or {}
    entries = values.get(kind) or {}
    return values | {kind: entries | {name: dict(fields)}} if isinstance(entries, dict) else {}
