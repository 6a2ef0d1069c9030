"""Sentences that several pages have in common."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipeline.report.numbers import is_significant

MOST = 6
"""names in a sentence"""
Row = Mapping[str, Any]


def listed(names: Sequence[str], most: int = MOST) -> str:
    """Names in a sentence: `a, b and c`, or `a, b and 7 more`."""
    shown = list(names) if len(names) <= most else [*names[: most - 1], f"{len(names) - most + 1} more"]
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def significantly(
    rows: Sequence[Row],
    p: str,
    reference: str,
    called: Callable[[Row], str],
    above: str = "above",
    below: str = "below",
) -> str:
    """Which rows with a `difference` are significantly above a reference and which below, by their column `p`.

    `reference` and what `called` gives are Markdown.
    """
    different = [row for row in rows if is_significant(row[p])]
    higher = [called(row) for row in different if row["difference"] > 0]
    lower = [called(row) for row in different if row["difference"] < 0]
    if not different:
        return f"Nothing differs significantly from {reference}."
    first = f"Nothing is significantly {above} {reference}."
    if higher:
        first = f"Significantly {above} {reference}: {', '.join(higher)}."
    return f"{first} Significantly {below}: {', '.join(lower)}." if lower else first


def left_out(why: Mapping[str, str], verb: str) -> list[str]:
    """A list item for each reason and the encoders that it holds for: {encoder: reason or nothing}, both Markdown."""
    items = []
    for reason in dict.fromkeys(why.values()):
        names = [f"**{name}**" for name in why if why[name] == reason]
        was = "was" if len(names) == 1 else "were"
        items.append(f"- {listed(names, len(names))} {was} not {verb}{f': {reason}' if reason else ''}.")
    return items
