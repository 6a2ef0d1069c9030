"""One local file of pairs as a table: CSV, TSV, JSONL, a JSON array or Parquet; the first four may be gzipped."""

import gzip
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.base.errors import InputError, did_you_mean, first_line
from pipeline.catalog.entries import Dataset
from pipeline.text.cells import read_csv, read_tsv
from pipeline.text.records import read_json, read_jsonl

BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}
LFS_POINTER = b"version https://git-lfs"
READERS: dict[str, Callable[[str, str, Dataset, Sequence[str]], pl.DataFrame]] = {
    ".csv": lambda text, path, entry, _: read_csv(text, path, entry),
    ".tsv": lambda text, path, entry, _: read_tsv(text, path, entry),
    ".jsonl": lambda text, path, _, wanted: read_jsonl(text, path, wanted),
    ".json": lambda text, path, _, wanted: read_json(text, path, wanted),
}
"""ending of a text file -> a function of its text, its name, the entry and the wanted columns"""
ENDINGS = (*READERS, ".parquet")


def read_file(file: Path, path: str, entry: Dataset, wanted: Sequence[str]) -> pl.DataFrame:
    """A file as a table, read as its ending says; of a format that nests values, the `wanted` columns.

    `path` is how the catalogue names the file. InputError for what is damaged, or is not what its ending says.
    """
    ending, zipped = ending_of(path)
    if file.is_dir():
        raise InputError(f"{path} is not what its ending says: it is a folder")
    if file.stat().st_size == 0:
        raise InputError(f"{path} is empty: expected a header and at least one pair")
    with file.open("rb") as handle:
        if handle.read(len(LFS_POINTER)) == LFS_POINTER:
            raise InputError(f"{path} is a pointer of Git LFS, not the data: fetch them with git lfs pull")
    try:
        if ending == ".parquet":
            return _parquet(file)
        text = _text(_unzipped(file) if zipped else file.read_bytes(), path, entry.encoding)
        return READERS[ending](text, path, entry, wanted)
    except InputError:
        raise
    except (pl.exceptions.PolarsError, pa.ArrowException, OSError, EOFError, zlib.error, ValueError) as error:
        raise InputError(f"{path} is not what its ending says, or is damaged: {first_line(error)}") from error


def ending_of(path: str) -> tuple[str, bool]:
    """The ending of a file's name in small letters, and whether `.gz` follows it. InputError for an unknown one."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    zipped = suffixes[-1:] == [".gz"]
    ending = "".join(suffixes[-2:-1] if zipped else suffixes[-1:])
    if ending not in ENDINGS or (zipped and ending == ".parquet"):
        raise InputError(f"the ending of {path} is {ending!r}: {did_you_mean(ending, ENDINGS)}, or .gz after it")
    return ending, zipped


def _unzipped(file: Path) -> bytes:
    with gzip.open(file) as handle:
        return handle.read()


def _text(data: bytes, path: str, encoding: str | None) -> str:
    """The text of a file: in the given encoding, in UTF-16 if it begins so, else in UTF-8."""
    marked = next((name for mark, name in BYTE_ORDER_MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding or marked)
    except LookupError as error:
        raise InputError(f"`encoding` of {path} is {encoding!r}, expected one that Python knows, such as cp1252") from (
            error
        )
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(
            f"{path}, line {line}, is not text in {encoding or marked}: name the right one, such as `encoding: cp1252`"
        ) from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise InputError(f"{path}, line {line}, holds a zero byte: it is damaged, or `encoding` is to be given")
    return text


def _parquet(file: Path) -> pl.DataFrame:
    # Polars aborts on some damaged files, and on metadata that are not text: this reads with Arrow, and leaves them out
    table = pq.ParquetFile(file).read()
    table.validate(full=True)
    plain = [
        column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        for column in table.columns
    ]
    return pl.DataFrame(pa.Table.from_arrays(plain, names=table.column_names))
