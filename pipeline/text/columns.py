"""A table of any source under our names of columns, with one type for each."""

from ast import literal_eval
from collections.abc import Mapping
from typing import Any

import polars as pl

from pipeline.base.errors import InputError, did_you_mean
from pipeline.text.lines import ROWS_AT_ONCE

NEEDED = ("sentence1", "sentence2", "label")
TRUTH = {"true": "1", "false": "0"}
BYTES = r"^b(['\"]).*['\"]$"
"""Python's way to print bytes, as in the TSV files of PAWS"""


def standard(table: pl.DataFrame, split: str | None, columns: Mapping[str, Any], what: str) -> pl.DataFrame:
    """One table of a source under our names of columns: split, idx, sentence1, sentence2, label, written.

    `split` is None where the table says it, or nothing does. `written` is the label as the source has it. Raises
    InputError for a column that is not there or holds something else.
    """
    table = renamed(table, columns, what)
    if table.is_empty():
        raise InputError(f"{what}, split {split or 'all'}, is empty: expected at least one pair")
    if split is not None or "split" not in table.columns:
        table = table.with_columns(pl.lit(split or "all").alias("split"))
    for name in ("split", "idx", "label"):
        if name in table.columns and not _is_plain(table[name].dtype):
            raise InputError(f"{what}: column {name} holds {table[name].dtype}, expected a number or text in each row")
    return pl.DataFrame(
        {
            "split": _splits(table["split"], what),
            "idx": _numbers(table, what),
            "sentence1": _texts(table["sentence1"], what),
            "sentence2": _texts(table["sentence2"], what),
            "label": _labels(table["label"], what),
            "written": table["label"].cast(pl.String),
        }
    )


def _is_plain(kind: pl.DataType) -> bool:
    return kind.is_numeric() or kind in (pl.String, pl.Boolean, pl.Null)


def renamed(table: pl.DataFrame, columns: Mapping[str, Any], what: str) -> pl.DataFrame:
    """A table with the source's columns renamed to ours, {our column: the source's}; a column in the way is dropped."""
    ours = {str(theirs): name for name, theirs in columns.items()}
    present = ", ".join(table.columns)
    if absent := [column for column in ours if column not in table.columns]:
        hint = ", or `header: false` if its first line is a pair" if absent[0].isdigit() else ""
        raise InputError(
            f"{what} has no column {', '.join(absent)}: {did_you_mean(absent[0], table.columns)}. "
            f"Mend `columns` in catalog.yaml{hint}"
        )
    in_the_way = [name for name in ours.values() if name in table.columns and name not in ours]
    table = table.drop(in_the_way).rename(ours)
    if absent := [column for column in NEEDED if column not in table.columns]:
        raise InputError(
            f"{what} has no column {', '.join(absent)}: it has {present}. "
            f"Say which is which with `columns: {{{absent[0]}: ...}}` in catalog.yaml"
        )
    return table


def _first(condition: pl.Series) -> int:
    """The number of the first row where a condition holds."""
    return int(condition.arg_max())  # type: ignore[arg-type]


def _splits(column: pl.Series, what: str) -> pl.Series:
    names = column.cast(pl.String)
    empty = names.is_null() | (names.str.strip_chars() == "")
    if empty.any():
        raise InputError(f"{what}: the split of row {_first(empty)} is empty: fill it, or drop the column")
    return names


def _numbers(table: pl.DataFrame, what: str) -> pl.Series:
    """The source's own row numbers, or ours where it has none."""
    if "idx" not in table.columns:
        return pl.int_range(len(table), dtype=pl.Int64, eager=True)
    given = table["idx"]
    is_fraction = given.dtype.is_float() or given.dtype.is_decimal()
    numbers = given.cast(pl.Float64 if is_fraction else pl.Int64, strict=False)
    whole = numbers.cast(pl.Int64, strict=False)
    wrong = whole.is_null() | (whole != numbers).fill_null(True)
    if wrong.any():
        value = given[_first(wrong)]
        raise InputError(
            f"{what}: idx {value!r} is not a whole number: point `columns.idx` at another column or drop it"
        )
    return whole


def _texts(column: pl.Series, what: str) -> pl.Series:
    """Sentences; where all of them are written as Python prints bytes, b'...', what was meant."""
    if column.dtype != pl.String:
        raise InputError(f"{what}: column {column.name} holds {column.dtype}, expected text")
    if not column.is_null().any() and column.str.contains(BYTES).all():
        parts = (column.slice(start, ROWS_AT_ONCE) for start in range(0, len(column), ROWS_AT_ONCE))
        return pl.concat(
            [pl.Series(column.name, [_from_bytes(text, column.name, what) for text in part]) for part in parts],
            rechunk=False,
        )
    return column


def _from_bytes(text: str, name: str, what: str) -> str:
    try:
        return literal_eval(text).decode()
    except (ValueError, SyntaxError, AttributeError) as error:
        raise InputError(f"{what}: {name} {text[:60]!r} looks like Python's bytes, but is none: mend it") from error


def _labels(column: pl.Series, what: str) -> pl.Series:
    """Labels as numbers, null for what is none."""
    if column.dtype == pl.String:
        plain = column.str.strip_chars()
        small = plain.str.to_lowercase()
        plain = pl.select(pl.when(small.is_in(list(TRUTH))).then(small.replace(TRUTH)).otherwise(plain)).to_series()
        return plain.cast(pl.Float64, strict=False).alias("label")
    return column.cast(pl.Float64, strict=False)


def missing_label(labels: pl.Series) -> float | None:
    """The one negative number among labels that are else 0 or more, which may mean "no gold label"; -1 and 1 are two
    labels.
    """
    values = labels.drop_nulls().unique().sort()
    if len(values) > 2 and values[0] < 0 <= values[1]:
        return float(values[0])
    return None
