"""JSON lines, and a JSON array of objects, as columns of text: a number stays as it is written."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import polars as pl

from pipeline.base.errors import InputError, first_line
from pipeline.catalog.entries import Dataset
from pipeline.text.lines import TextFile, in_blocks, text_table


def _not_a_number(text: str) -> None:
    raise ValueError(f"{text} is no number of JSON")


def _decoded(text: str) -> Any:
    return json.loads(text, parse_int=str, parse_float=str, parse_constant=_not_a_number)


def read_jsonl(file: TextFile, _: Dataset, wanted: Sequence[str]) -> pl.DataFrame:
    """An object on each line; of columns that are not wanted, only the names."""

    def records() -> Iterator[tuple[str, Any]]:
        for line, row in enumerate(file.lines(), start=1):
            if not row.strip():
                continue
            where = f"{file.path}, line {line}"
            try:
                yield where, _decoded(row.removesuffix("\n"))
            except (ValueError, RecursionError) as error:
                raise InputError(f"{where}, is not JSON: {first_line(error)}. Mend or remove that line") from error

    return _records(records(), wanted)


def read_json(file: TextFile, _: Dataset, wanted: Sequence[str]) -> pl.DataFrame:
    """A list of objects, which is in memory as a whole; of columns that are not wanted, only the names."""
    try:
        rows = _decoded("".join(file.lines()))
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{file.path} is not JSON: {first_line(error)}. If each of its lines is an object of its own, call it "
            ".jsonl"
        ) from error
    if not isinstance(rows, list):
        raise InputError(f"{file.path} holds {type(rows).__name__}, expected a list of objects, [{{...}}, ...]")
    return _records(((f"{file.path}, object {i}", row) for i, row in enumerate(rows)), wanted)


def _records(records: Iterable[tuple[str, Any]], wanted: Sequence[str]) -> pl.DataFrame:
    """Objects as columns of text; a column begins with the first object that has it."""
    names: dict[str, None] = {}

    def rows() -> Iterator[dict[str, str | None]]:
        for where, record in records:
            if not isinstance(record, dict):
                raise InputError(f"{where}, holds {type(record).__name__}, expected an object with a sentence pair")
            names.update(dict.fromkeys(record))
            yield {name: _cell(value, name, where) for name, value in record.items() if name in wanted}

    blocks = [
        text_table(list(names), [[row.get(name) for name in names] for row in block]) for block in in_blocks(rows())
    ]
    return pl.concat(blocks, how="diagonal", rechunk=False) if blocks else pl.DataFrame()


def _cell(value: Any, name: str, where: str) -> str | None:
    if isinstance(value, list | dict):
        kind = "a list" if isinstance(value, list) else "an object"
        raise InputError(f"{where}: column {name} holds {kind}, expected a number or text in each row")
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"{where}: column {name} holds half of a surrogate pair, which is no character: remove it"
            ) from error
    return value if value is None else str(value)
