"""JSON lines, and a JSON array of objects, as columns of text: a number stays as it is written."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import polars as pl

from pipeline.base.errors import InputError, first_line


def _not_a_number(text: str) -> None:
    raise ValueError(f"{text} is no number of JSON")


def _decoded(text: str) -> Any:
    return json.loads(text, parse_int=str, parse_float=str, parse_constant=_not_a_number)


def read_jsonl(text: str, path: str, wanted: Sequence[str]) -> pl.DataFrame:
    """An object on each line; of columns that are not wanted, only the names."""

    def records() -> Iterator[tuple[str, Any]]:
        for line, row in enumerate(text.split("\n"), start=1):
            if not row.strip():
                continue
            where = f"{path}, line {line}"
            try:
                yield where, _decoded(row)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{where}, is not JSON: {first_line(error)}. Mend or remove that line") from error

    return _records(records(), path, wanted)


def read_json(text: str, path: str, wanted: Sequence[str]) -> pl.DataFrame:
    """A list of objects; of columns that are not wanted, only the names."""
    try:
        rows = _decoded(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path} is not JSON: {first_line(error)}. If each of its lines is an object of its own, call it .jsonl"
        ) from error
    if not isinstance(rows, list):
        raise InputError(f"{path} holds {type(rows).__name__}, expected a list of objects, [{{...}}, ...]")
    return _records(((f"{path}, object {i}", row) for i, row in enumerate(rows)), path, wanted)


def _records(records: Iterable[tuple[str, Any]], path: str, wanted: Sequence[str]) -> pl.DataFrame:
    """Objects as columns of text."""
    rows: list[dict[str, Any]] = []
    names: dict[str, None] = {}
    for where, record in records:
        if not isinstance(record, dict):
            raise InputError(f"{where}, holds {type(record).__name__}, expected an object with a sentence pair")
        names |= dict.fromkeys(record)
        rows.append({name: _cell(value, name, where) for name, value in record.items() if name in wanted})
    columns = {name: [row.get(name) for row in rows] for name in names}
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))


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
