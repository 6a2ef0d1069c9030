"""Text and tables in Markdown (CommonMark with GitHub's tables).

What comes from data can neither break a page nor act in it.
"""

import re
import unicodedata
from collections.abc import Collection, Sequence

SPECIAL = re.compile(r"[\\`*_{}\[\]<>#|~$&]")
AT_THE_START = re.compile(r"^(\d+(?=[.)])|(?=[-+=:]))")
"""a list, a rule, the underline of a heading or of a table begins so"""
LINK = re.compile(r"(?<=[A-Za-z]):(?=\S)|(?<=/)/|/(?=/)|(?<=[A-Za-z])\.(?=[A-Za-z])|(?<=[wW])\.|@")
"""what makes a link of a bare address"""
ADDRESS = re.compile(r"\\@(?=\S)")
JOINERS = "\u200c\u200d"
"""invisible, and needed to write Persian, Hindi and some emoji"""
NO_TEXT = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories of control and format characters, halves of pairs, and line ends"""

Cell = str | int | None


def visible(text: str) -> str:
    """Text with control characters as escapes such as `\\x1b`, so that they steer no terminal and hide no text."""
    return "".join(_escape(c) if unicodedata.category(c) in NO_TEXT and c not in JOINERS else c for c in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, on one line: no markup, no HTML, no links, blanks at its ends kept."""
    text = visible(text)
    core = text.strip(" ")
    before = len(text) - len(text.lstrip(" ")) if core else len(text)
    after = len(text) - before - len(core)
    core = SPECIAL.sub(r"\\\g<0>", core)
    core = AT_THE_START.sub(r"\1\\", core)
    core = LINK.sub(r"\\\g<0>", core)
    core = ADDRESS.sub(r"\\@<!-- -->", core)  # GitHub links e-mail addresses even if their @ is escaped
    return "&nbsp;" * before + core + "&nbsp;" * after


def words(name: str) -> str:
    """A name of params.yaml in plain words: `idf_mean` -> idf mean."""
    return escaped(name.replace("_", " "))


def table(header: Sequence[str], rows: Sequence[Sequence[Cell]], text: Collection[str] = ()) -> list[str]:
    """Header cells and rows of cells -> lines of a table, without the columns in which no row has anything.

    The first column and those whose header is in `text` are text; the others are numbers, right-aligned.
    """
    kept = [i for i in range(len(header)) if any(row[i] not in (None, "") for row in rows)]
    rule = ["---" if i == 0 or header[i] in text else "---:" for i in kept]
    body = [[row[i] for i in kept] for row in rows]
    return [_line([header[i] for i in kept]), _line(rule), *map(_line, body)]


def _line(cells: Sequence[Cell]) -> str:
    return f"| {' | '.join('' if cell is None else str(cell) for cell in cells)} |"


def section(heading: str, *paragraphs: Sequence[str], level: int = 2) -> list[str]:
    """A heading and paragraphs of lines -> lines, with an empty one after each."""
    lines = [f"{'#' * level} {heading}", ""]
    for paragraph in paragraphs:
        if paragraph:
            lines += [*paragraph, ""]
    return lines
