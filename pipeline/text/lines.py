"""A text file, read line by line and as often as is wanted, and tables of text that are made in blocks: never is all of
a file in memory as Python's strings.
"""

import gzip
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, TypeVar

import polars as pl

from pipeline.base.errors import InputError

BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}
ROWS_AT_ONCE = 1 << 14
"""of a table whose cells are Python's strings, which take several times as much as those of a column"""

Row = TypeVar("Row")


@dataclass(frozen=True)
class TextFile:
    """A file of text, gzipped or not: in the given encoding, in UTF-16 if it begins so, else in UTF-8."""

    file: Path
    path: str
    """how the catalogue names it"""
    zipped: bool
    encoding: str | None

    def lines(self, newline: str = "\n") -> Iterator[str]:
        """Its lines with their ends, which are `newline`; "" stands for those of all systems.

        InputError for another encoding and for a zero byte, with the line.
        """
        encoding = self._encoding()
        number = 0
        try:
            with self._bytes() as data, io.TextIOWrapper(data, encoding, newline=newline) as text:
                for line in text:
                    if "\0" in line:
                        at = number + 1 + line[: line.index("\0")].count("\n")
                        raise InputError(
                            f"{self.path}, line {at}, holds a zero byte: it is damaged, or `encoding` is to be given"
                        )
                    number += line.count("\n")
                    yield line
        except LookupError as error:
            raise InputError(
                f"`encoding` of {self.path} is {self.encoding!r}, expected one that Python knows, such as cp1252"
            ) from error
        except UnicodeDecodeError as error:
            raise InputError(
                f"{self.path}, line {self._undecodable(encoding)}, is not text in {encoding}: name the right one, such "
                "as `encoding: cp1252`"
            ) from error

    def _bytes(self) -> IO[bytes]:
        return gzip.open(self.file) if self.zipped else self.file.open("rb")  # type: ignore[return-value]

    def _encoding(self) -> str:
        if self.encoding is not None:
            return self.encoding
        with self._bytes() as data:
            beginning = data.read(3)
        return next((name for mark, name in BYTE_ORDER_MARKS.items() if beginning.startswith(mark)), "utf-8")

    def _undecodable(self, encoding: str) -> int:
        """The line where decoding ends; an error while lines are read only knows the place in its buffer."""
        with self._bytes() as data:
            whole = data.read()
        try:
            whole.decode(encoding)
        except UnicodeDecodeError as error:
            return whole[: error.start].count(b"\n") + 1
        raise AssertionError(f"{self.path} has changed")


def in_blocks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows -> lists of ROWS_AT_ONCE of them, the last of what is left."""
    rows = iter(rows)
    while block := list(islice(rows, ROWS_AT_ONCE)):
        yield block


def text_table(names: Sequence[str], rows: Iterable[Sequence[str | None]]) -> pl.DataFrame:
    """Names of columns, and rows of their cells -> columns of text."""
    schema = dict.fromkeys(names, pl.String)
    return pl.DataFrame(dict(zip(names, zip(*rows))), schema=schema)
