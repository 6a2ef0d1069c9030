"""The section of poolings.md on the tokens that learned attention gives weight to."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from pipeline.report.markdown import escaped, section
from pipeline.report.numbers import fixed

HEAVY, LIGHT = 1.5, 0.5
"""weights, as multiples of the mean's, from which a token is printed bold, and up to which it is printed small"""
BOLD, SMALL, PLAIN = ("<b>", "</b>"), ("<sub>", "</sub>"), ("", "")


def sections(model: str, attention: Mapping[str, Any] | None) -> list[str]:
    """`attention` of one model in SUMMARY["models"]; weights are multiples of 1 / T, which is what the mean gives."""
    if attention is None:
        return []
    place = f"{escaped(model)}, first run, layer {escaped(str(attention['layer']))}"
    heading = f"What attention looks at ({place})"
    if attention["flat"]:
        return section(heading, ["Every token weighs the same: the mean was kept."], level=3)
    lead = (
        f"Spearman's rho of a token's weight with its idf is {fixed(attention['by_idf'], 2)}, and with its place in "
        f"the sentence {fixed(attention['by_position'], 2)} ({attention['sentences']} sentences). "
        "Weights are multiples of the mean's."
    )
    lists = [f"- Most weight: {_listed(attention['most'])}", f"- Least weight: {_listed(attention['least'])}"]
    examples = [f"- {marked(example['pieces'], example['weights'])}" for example in attention["examples"]]
    legend = [f"Bold: at least {HEAVY:g} times the mean's weight. Small: at most {LIGHT:g} times."] if examples else []
    return section(heading, [lead], lists, legend, examples, level=3)


def _listed(tokens: Sequence[Sequence]) -> str:
    texts = [f"{escaped(piece.strip())} {fixed(weight, 2)}" for piece, weight in tokens]
    return ", ".join(texts) if texts else "no token is frequent enough"


def marked(pieces: Sequence[str], weights: Sequence[float]) -> str:
    """A sentence in which heavy tokens are bold and light ones small.

    Neighbours of one kind share their tags, and spaces stand outside of them.
    """
    text = ""
    for tags, group in groupby(zip(pieces, weights), key=lambda token: _tags(token[1])):
        together = "".join(piece for piece, _ in group)
        inner = together.strip()
        before = " " if together[:1].isspace() else ""
        after = " " if together[-1:].isspace() else ""
        text += f"{before}{tags[0]}{escaped(inner)}{tags[1]}{after}" if inner else before
    return text.strip()


def _tags(weight: float) -> tuple[str, str]:
    if weight >= HEAVY:
        return BOLD
    return SMALL if weight <= LIGHT else PLAIN
