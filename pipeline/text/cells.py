"""CSV and TSV: lines of cells as columns of text.

A cell stays the text that was written, whatever it looks like: `007` is no number here. Every error names the file and
the line.
"""

import csv
import io
import re
from collections.abc import Iterator

import polars as pl

from pipeline.base.errors import InputError
from pipeline.catalog.entries import Dataset

QUOTED = re.compile(r'".*"', re.DOTALL)
DOUBLED = re.compile(r'"([^"]|"")*""([^"]|"")*"', re.DOTALL)
SEPARATORS = {",": "','", ";": "';'", "\t": "'\\t'", "|": "'|'"}


def read_csv(text: str, path: str, entry: Dataset) -> pl.DataFrame:
    """Cells between commas; quotes enclose what holds commas, newlines or doubled quotes, unless told otherwise."""
    return _table(text, path, entry, separator=entry.separator or ",", quoted=entry.quoting is not False)


def read_tsv(text: str, path: str, entry: Dataset) -> pl.DataFrame:
    """Cells between tabs; a quote is text, unless told otherwise. InputError where quotes seem to enclose cells."""
    if entry.quoting is None:  # quotes in MRPC's TSV are text, those of pandas, Polars and R are not
        _refuse_quotes(text, path, entry.separator or "\t", entry.header)
    return _table(text, path, entry, separator=entry.separator or "\t", quoted=entry.quoting is True)


def _table(text: str, path: str, entry: Dataset, separator: str, quoted: bool) -> pl.DataFrame:
    """Lines of cells as columns of text; an empty cell is null, a blank line nothing."""
    if len(separator) != 1:
        raise InputError(f"`separator` of {path} is {separator!r}, expected one character")
    cells = _quoted_rows(text, path, separator) if quoted else _plain_rows(text, separator)
    lines, rows = [], []
    for line, row in cells:
        if row and (len(row) > 1 or row[0].strip()):
            lines.append(line)
            rows.append(row)
    if not rows:
        raise InputError(f"{path} has no line with text: expected a header and at least one pair")
    names = rows[0] if entry.header else [str(i) for i in range(len(rows[0]))]
    if entry.header:
        lines, rows = lines[1:], rows[1:]
        _check_names(names, path, separator)
    for line, row in zip(lines, rows):
        if len(row) != len(names):
            hint = "" if quoted or '"' not in "".join(row) else ", or set `quoting: true` if quotes enclose separators"
            raise InputError(
                f"{path}, line {line}, has {len(row)} cells where the first has {len(names)}: mend that line{hint}"
            )
    columns = {name: [row[i] or None for row in rows] for i, name in enumerate(names)}
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))


def _quoted_rows(text: str, path: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) with quotes as in RFC 4180: they enclose separators, newlines and doubled quotes."""
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))  # of the whole process: never lowered
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    line = 1
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(
                f"{path}, line {line}: its quotes are not those of a CSV ({error}). Mend them, or set "
                "`quoting: false` if they are text"
            ) from error
        yield line, row
        line = reader.line_num + 1


def _plain_rows(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) where a quote is a character like any other."""
    for line, row in enumerate(text.split("\n"), start=1):
        yield line, row.removesuffix("\r").split(separator)


def _check_names(names: list[str], path: str, separator: str) -> None:
    """Raise InputError for a header with a name twice, with blanks around one, or that another character separates."""
    if blank := [name for name in names if name != name.strip()]:
        raise InputError(f"the header of {path} has blanks around {blank[0]!r}: remove them here and in the rows below")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"the header of {path} has {twice[0]!r} twice: give each column a name of its own")
    for other, shown in SEPARATORS.items():
        if len(names) == 1 and names[0].count(other) >= 2:
            raise InputError(f"the header of {path} seems to be separated by {shown}: say so with `separator: {shown}`")


def _refuse_quotes(text: str, path: str, separator: str, header: bool) -> None:
    """Raise InputError where quotes seem to enclose cells, as pandas, Polars and R write them."""
    numbered = [(line, row) for line, row in _plain_rows(text, separator) if row != [""]]
    rows = [row for _, row in numbered]
    remedy = "set `quoting: true` in catalog.yaml, or `quoting: false` if the quotes are part of the text"
    for line, row in numbered:
        if cells := [cell for cell in row if DOUBLED.fullmatch(cell)]:
            raise InputError(f"{path}, line {line}, seems to have quotes around its cells ({cells[0][:40]}): {remedy}")
    if len(rows) > 1 and header and all(QUOTED.fullmatch(name) for name in rows[0]):
        raise InputError(f"the header of {path} is in quotes ({rows[0][0][:40]}): {remedy}")
    body = rows[1:] if header else rows
    for i in range(max(map(len, body), default=0)):
        column = [row[i] for row in body if i < len(row)]
        if len(column) > 1 and all(QUOTED.fullmatch(cell) for cell in column):
            raise InputError(f"every cell of column {i + 1} of {path} is in quotes ({column[0][:40]}): {remedy}")
