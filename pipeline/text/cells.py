"""CSV and TSV: lines of cells as columns of text.

A cell stays the text that was written, whatever it looks like: `007` is no number here. Every error names the file and
the line.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import chain

import polars as pl

from pipeline.base.errors import InputError
from pipeline.catalog.entries import Dataset
from pipeline.text.lines import TextFile, in_blocks, text_table

QUOTED = re.compile(r'".*"', re.DOTALL)
DOUBLED = re.compile(r'"([^"]|"")*""([^"]|"")*"', re.DOTALL)
LONGEST = (1 << 31) - 1
"""characters of a cell, at most"""
SEPARATORS = {",": "','", ";": "';'", "\t": "'\\t'", "|": "'|'"}


def read_csv(file: TextFile, entry: Dataset, wanted: Sequence[str]) -> pl.DataFrame:
    """Cells between commas; quotes enclose what holds commas, newlines or doubled quotes, unless told otherwise."""
    return _table(file, entry, wanted, separator=entry.separator or ",", quoted=entry.quoting is not False)


def read_tsv(file: TextFile, entry: Dataset, wanted: Sequence[str]) -> pl.DataFrame:
    """Cells between tabs; a quote is text, unless told otherwise. InputError where quotes seem to enclose cells."""
    if entry.quoting is None:  # quotes in MRPC's TSV are text, those of pandas, Polars and R are not
        _refuse_quotes(file, entry.separator or "\t", entry.header)
    return _table(file, entry, wanted, separator=entry.separator or "\t", quoted=entry.quoting is True)


def _table(file: TextFile, entry: Dataset, wanted: Sequence[str], separator: str, quoted: bool) -> pl.DataFrame:
    """Lines of cells as columns of text; an empty cell is null, a blank line nothing. Columns that are not wanted are
    null.
    """
    if len(separator) != 1:
        raise InputError(f"`separator` of {file.path} is {separator!r}, expected one character")
    cells = _quoted_rows(file, separator) if quoted else _plain_rows(file, separator)
    numbered = ((line, row) for line, row in cells if row and (len(row) > 1 or row[0].strip()))
    first = next(numbered, None)
    if first is None:
        raise InputError(f"{file.path} has no line with text: expected a header and at least one pair")
    names = first[1] if entry.header else [str(i) for i in range(len(first[1]))]
    if entry.header:
        _check_names(names, file.path, separator)
    kept = [name in wanted for name in names]

    def rows() -> Iterator[list[str | None]]:
        for line, row in numbered if entry.header else chain([first], numbered):
            if len(row) != len(names):
                remedy = ", or set `quoting: true` if quotes enclose separators"
                hint = "" if quoted or '"' not in "".join(row) else remedy
                raise InputError(
                    f"{file.path}, line {line}, has {len(row)} cells where the first has {len(names)}: mend that "
                    f"line{hint}"
                )
            yield [(cell or None) if keep else None for cell, keep in zip(row, kept)]

    blocks = [text_table(names, block) for block in in_blocks(rows())]
    return pl.concat(blocks or [text_table(names, [])], rechunk=False)


def _quoted_rows(file: TextFile, separator: str) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) with quotes as in RFC 4180: they enclose separators, newlines and doubled quotes."""
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST))  # of the whole process: never lowered
    reader = csv.reader(file.lines(newline=""), delimiter=separator, strict=True)
    line = 1
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(
                f"{file.path}, line {line}: its quotes are not those of a CSV ({error}). Mend them, or set "
                "`quoting: false` if they are text"
            ) from error
        yield line, row
        line = reader.line_num + 1


def _plain_rows(file: TextFile, separator: str) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) where a quote is a character like any other."""
    for line, row in enumerate(file.lines(), start=1):
        yield line, row.removesuffix("\n").removesuffix("\r").split(separator)


def _check_names(names: list[str], path: str, separator: str) -> None:
    """Raise InputError for a header with a name twice, with blanks around one, or that another character separates."""
    if blank := [name for name in names if name != name.strip()]:
        raise InputError(f"the header of {path} has blanks around {blank[0]!r}: remove them here and in the rows below")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"the header of {path} has {twice[0]!r} twice: give each column a name of its own")
    for other, shown in SEPARATORS.items():
        if len(names) == 1 and names[0].count(other) >= 2:
            raise InputError(f"the header of {path} seems to be separated by {shown}: say so with `separator: {shown}`")


def _refuse_quotes(file: TextFile, separator: str, header: bool) -> None:
    """Raise InputError where quotes seem to enclose cells, as pandas, Polars and R write them."""
    remedy = "set `quoting: true` in catalog.yaml, or `quoting: false` if the quotes are part of the text"
    first: list[str] = []  # the first row, and of each column of those below it how many cells are there and in quotes
    examples: list[str] = []
    counts: list[list[int]] = []
    rows = 0
    for line, row in _plain_rows(file, separator):
        if row == [""]:
            continue
        rows += 1
        if cells := [cell for cell in row if '"' in cell and DOUBLED.fullmatch(cell)]:
            raise InputError(
                f"{file.path}, line {line}, seems to have quotes around its cells ({cells[0][:40]}): {remedy}"
            )
        first = first or row
        if header and rows == 1:
            continue
        for i, cell in enumerate(row):
            if i == len(counts):
                counts.append([0, 0])
                examples.append(cell)
            counts[i][0] += 1
            counts[i][1] += bool('"' in cell and QUOTED.fullmatch(cell))
    if rows > 1 and header and all(QUOTED.fullmatch(name) for name in first):
        raise InputError(f"the header of {file.path} is in quotes ({first[0][:40]}): {remedy}")
    for i, (there, quoted) in enumerate(counts):
        if there > 1 and there == quoted:
            raise InputError(f"every cell of column {i + 1} of {file.path} is in quotes ({examples[i][:40]}): {remedy}")
