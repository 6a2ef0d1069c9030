"""One local file of pairs as a table: CSV, TSV, JSONL, a JSON array or Parquet; the first four may be gzipped."""

import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.base.errors import InputError, did_you_mean, first_line
from pipeline.catalog.entries import Dataset
from pipeline.text.cells import read_csv, read_tsv
from pipeline.text.lines import TextFile
from pipeline.text.records import read_json, read_jsonl

LFS_POINTER = b"version https://git-lfs"
READERS: dict[str, Callable[[TextFile, Dataset, Sequence[str]], pl.DataFrame]] = {
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".jsonl": read_jsonl,
    ".json": read_json,
}
"""ending of a text file -> a function of the file, the entry and the wanted columns"""
ENDINGS = (*READERS, ".parquet")


def read_file(file: Path, path: str, entry: Dataset, wanted: Sequence[str]) -> pl.DataFrame:
    """A file as a table, read as its ending says; of columns that are not `wanted`, only the names.

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
            return _parquet(file, wanted)
        return READERS[ending](TextFile(file, path, zipped, entry.encoding), entry, wanted)
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


def _parquet(file: Path, wanted: Sequence[str]) -> pl.DataFrame:
    # Polars aborts on some damaged files, and on metadata that are not text: this reads with Arrow, and leaves them out
    source = pq.ParquetFile(file)
    names = source.schema_arrow.names
    table = source.read([name for name in names if name in wanted])
    table.validate(full=True)
    columns = {
        name: column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        for name, column in zip(table.column_names, table.columns)
    }
    others = {name: pa.nulls(table.num_rows) for name in names if name not in columns}
    return pl.DataFrame(pa.table({name: columns.get(name, others.get(name)) for name in names}))
