"""Scores in parts against the whole table at once."""

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from pipeline.formats import parquet, scores
from pipeline.formats.norms import Norms
from tests.analyse.making import scores_of, scores_table
from tests.helpers import pairs_table

KEYS = [("m", "mean", layer, "cosine") for layer in (0, 1, 2)] + [("m", "mean", None, "dot"), ("o", None, None, "dice")]


@pytest.fixture
def pairs(rng):
    return pairs_table(rng.integers(0, 2, 30), rng.choice(["train", "test"], 30))


@pytest.fixture
def table(rng, pairs):
    """The rows of C5 in no order."""
    rows = scores_table(pairs, dict(zip(KEYS, rng.standard_normal((len(KEYS), 30)))))
    return rows.sample(fraction=1, shuffle=True, seed=int(rng.integers(1 << 30))).select(list(scores.COLUMNS))


@pytest.mark.parametrize("rows", [1, 7, 30, 1000])
def test_row_groups_of_any_rows_are_read_as_the_whole_table(tmp_path, monkeypatch, pairs, table, rows):
    scores.write(tmp_path / "s.parquet", table.iter_slices(rows))
    assert pl.read_parquet(tmp_path / "s.parquet").equals(table)
    read_columns, read = parquet.read_columns, []

    def watched(*arguments, **options):
        read.append(read_columns(*arguments, **options))
        return read[-1]

    monkeypatch.setattr(parquet, "read_columns", watched)
    found, expected = scores.read(tmp_path / "s.parquet", pairs), scores_of(table)
    assert found.keys.equals(expected.keys)
    assert np.array_equal(found.values, expected.values)
    assert max(len(part) for part in read) <= rows


def test_a_table_is_in_the_file_before_the_next_is_asked_for(tmp_path, table):
    sizes = []

    def tables():
        for part in table.iter_slices(40):
            sizes.append((tmp_path / "s.parquet.part").stat().st_size)
            yield part

    scores.write(tmp_path / "s.parquet", tables())
    assert len(sizes) == pq.ParquetFile(tmp_path / "s.parquet").num_row_groups == 4
    assert sizes == sorted(set(sizes))


def test_the_norms_of_the_models_come_back(tmp_path, pairs, table):
    norms = {"m": Norms([0, 2], [0.5, 0.9], 0.25, {"first": [1.0, 0.0]}, False, ["first"])}
    scores.write(tmp_path / "s.parquet", [table], norms)
    assert scores.read(tmp_path / "s.parquet", pairs).norms == norms
    scores.write(tmp_path / "s.parquet", [table])
    assert scores.read(tmp_path / "s.parquet", pairs).norms == {}


def test_scores_that_are_not_held_in_memory_are_the_same(tmp_path, monkeypatch, pairs, table):
    scores.write(tmp_path / "s.parquet", table.iter_slices(11))
    held = scores.read(tmp_path / "s.parquet", pairs)
    monkeypatch.setattr(scores, "NUMBERS_HELD", 149)  # of 150
    mapped = scores.read(tmp_path / "s.parquet", pairs)
    assert isinstance(mapped.values, np.memmap)
    assert not isinstance(held.values, np.memmap)
    assert np.array_equal(mapped.values, held.values)
    assert mapped.keys.equals(held.keys)
