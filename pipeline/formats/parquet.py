"""Parquet as all stages write it: declared columns, a checksum for each page, and facts about the file with a hash of
theirs.

A flipped byte in a page fails its checksum (CRC-32, part of the Parquet format), one in the footer fails to parse,
gives other columns or other facts: none of them is read in silence.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.base.files import replacing
from pipeline.formats.damage import absent, damaged, foreign

FACTS = b"drillcore"
"""key of the file's metadata under which its facts are kept, as JSON"""


@dataclass(frozen=True)
class Column:
    """A column of a file: its type, and what it holds, for the reference pages."""

    type: pa.DataType
    text: str


def schema_of(columns: dict[str, Column]) -> pa.Schema:
    """The Arrow schema of some columns."""
    return pa.schema([(name, column.type) for name, column in columns.items()])


def metadata_of(schema: pa.Schema, facts: dict[str, Any] | None) -> dict[bytes, bytes]:
    """What the footer says beside the data: facts about the file, and the sha256 of facts and columns together."""
    text = json.dumps(facts, sort_keys=True).encode()
    return {FACTS: text, FACTS + b".sha256": _digest(text, schema)}


def _digest(text: bytes, schema: pa.Schema) -> bytes:
    kinds = [str(field.type).replace("element:", "item:") for field in schema]  # Parquet's and Arrow's name of the same
    columns = repr(list(zip(schema.names, kinds)))
    return hashlib.sha256(text + columns.encode()).hexdigest().encode()


def writer(
    path: str | Path, schema: pa.Schema, facts: dict[str, Any] | None = None, **options: Any
) -> pq.ParquetWriter:
    """A writer of row groups of a schema, with a checksum for each page."""
    return pq.ParquetWriter(path, schema.with_metadata(metadata_of(schema, facts)), write_page_checksum=True, **options)


def write(path: str | Path, table: pa.Table, facts: dict[str, Any] | None = None, **options: Any) -> None:
    """A table as a Parquet file that appears whole or not at all."""
    with replacing(path) as part, writer(part, table.schema, facts, **options) as sink:
        sink.write_table(table)


def open_file(path: str | Path, stage: str, repeated: Sequence[str] = ()) -> pq.ParquetFile:
    """A Parquet file whose pages are checked as they are read; columns that are `repeated` come as dictionaries.

    InputError for a file that is not there, cut or not Parquet.
    """
    if not Path(path).is_file():
        raise absent(path, stage)
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True, read_dictionary=list(repeated))
        groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        names = file.schema_arrow.names
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise damaged(path, f"is not Parquet ({_short(error)})", stage) from error
    if sum(groups) != file.metadata.num_rows or min(groups, default=0) < 0 or len(names) != len(set(names)):
        raise damaged(path, "has a footer that contradicts itself", stage)
    return file


def facts_of(file: pq.ParquetFile, path: str | Path, stage: str, encoder: str | None = None) -> dict[str, Any]:
    """The facts of a file, if they and its columns are as they were written; with `encoder`, if it is of that one."""
    metadata = file.metadata.metadata or {}
    text = metadata.get(FACTS, b"")
    if metadata.get(FACTS + b".sha256") != _digest(text, file.schema_arrow):
        raise damaged(path, "has columns or facts in its footer that are not as they were written", stage)
    facts = json.loads(text)
    if encoder is not None and facts["encoder"] != encoder:
        raise foreign(path, f"is of {facts['encoder']}, expected {encoder}", stage)
    return facts


def check_schema(file: pq.ParquetFile, schema: pa.Schema, path: str | Path, stage: str) -> None:
    """Raise InputError where the columns of a file are not those that it is written with."""
    if file.schema_arrow.equals(schema):
        return
    for field in schema:
        if field.name not in file.schema_arrow.names:
            raise damaged(path, f"has no column {field.name!r}", stage)
        if (kind := file.schema_arrow.field(field.name).type) != field.type:
            raise damaged(path, f"has {kind} in column {field.name!r}, expected {field.type}", stage)
    raise damaged(path, f"has columns {', '.join(file.schema_arrow.names)}, expected {', '.join(schema.names)}", stage)


def read_columns(
    file: pq.ParquetFile, path: str | Path, stage: str, columns: Sequence[str] | None = None, group: int | None = None
) -> pa.Table:
    """Some columns of a file, or of one of its row groups, checked page by page."""
    try:
        table = file.read(columns) if group is None else file.read_row_group(group, columns)
        table.validate(full=True)  # a page's header has no checksum: its dictionary may be shorter than its indices say
    except (pa.ArrowException, OSError) as error:
        raise damaged(path, f"cannot be read ({_short(error)})", stage) from error
    wanted = file.metadata.num_rows if group is None else file.metadata.row_group(group).num_rows
    if table.num_rows != wanted:
        raise damaged(path, f"has {table.num_rows} of {wanted} rows", stage)
    return table.replace_schema_metadata(None)  # of which polars wants valid text


def read(path: str | Path, schema: pa.Schema, stage: str) -> pa.Table:
    """A whole file of a schema. InputError for one that is cut, flipped, empty, or has other columns."""
    file = open_file(path, stage)
    check_schema(file, schema, path, stage)
    table = read_columns(file, path, stage)
    if not table.num_rows:
        raise damaged(path, "has no rows", stage)
    return table


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:160]
