"""Vectors in fewer bytes, against the definition of each type in float64."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.base.errors import InputError
from pipeline.formats import vectors
from pipeline.formats.precision import MOST_SCALES, STORES, Precision, check_scales, scales_of

INFO = vectors.Info("toy", "mean", True)


def whole(rows):
    """The precision of int8 for one layer, 0."""
    return Precision("int8", {0: scales_of(np.abs(rows).max(axis=0))})


def written(path, layers, precision, groups=(slice(None),)):
    """A file of {layer: (S, D)}, in row groups."""
    tables = [vectors.table({n: rows[at] for n, rows in layers.items()}, at.start or 0, precision) for at in groups]
    with vectors.writer(path, tables[0].schema, INFO, None, precision) as sink:
        for table in tables:
            sink.write_table(table)
    return vectors.read(path, "pool@toy")


def test_int8_is_within_half_a_scale_of_each_dimension(rng):
    """However unlike the dimensions are; the largest of each is kept but for the rounding of float32."""
    rows = (rng.standard_normal((50, 7)) * np.logspace(-6, 6, 7)).astype(np.float32)
    precision = whole(rows)
    kept = precision.reduced(rows, 0)
    assert kept.dtype == np.int8
    assert (np.abs(kept).max(axis=0) == 127).all()
    exact, scale = rows.astype(np.float64), np.abs(rows).max(axis=0).astype(np.float64) / 127
    got = precision.restored(kept, 0).astype(np.float64)
    assert (np.abs(got - exact) <= scale * (0.5 + 127 * 2**-22)).all()
    largest = np.abs(exact).argmax(axis=0), np.arange(7)
    np.testing.assert_allclose(got[largest], exact[largest], rtol=2**-22)


def test_one_scale_for_a_whole_vector_would_lose_what_is_beside_an_outlying_dimension(rng):
    """Why there is one for each dimension: the opposite, by the same definition."""
    rows = rng.standard_normal((50, 7)).astype(np.float32)
    rows[:, 3] = 10_000 + rows[:, 3]  # 127 steps of 79: no other number reaches half of one
    precision = whole(rows)
    ours = precision.restored(precision.reduced(rows, 0), 0)
    of_vector = np.abs(rows).max(axis=1, keepdims=True) / 127
    theirs = np.rint(rows / of_vector) * of_vector
    others = np.arange(7) != 3
    assert (theirs[:, others] == 0).all()
    assert np.corrcoef(ours[:, others].ravel(), rows[:, others].ravel())[0, 1] > 0.999


def test_halves_go_to_the_even_number_and_what_is_too_large_to_127():
    precision = Precision("int8", {0: np.float32([1.0])})
    rows = np.float32([[0.5], [1.5], [2.5], [-0.5], [-1.5], [126.5], [127.4], [127.5], [300], [-300]])
    assert precision.reduced(rows, 0)[:, 0].tolist() == [0, 2, 2, 0, -2, 126, 127, 127, 127, -127]


def test_a_dimension_of_zeros_stays_zero():
    rows = np.float32([[0, 2], [0, -1]])
    precision = whole(rows)
    assert precision.scales[0][0] == 0
    assert precision.restored(precision.reduced(rows, 0), 0).tolist() == [[0, 2], [0, pytest.approx(-64 * 2 / 127)]]


def test_float16_is_what_numpy_rounds_to(rng):
    rows = (rng.standard_normal((20, 5)) * np.logspace(-9, 4, 5)).astype(np.float32)
    kept = Precision("float16").reduced(rows, 0)
    assert kept.dtype == np.float16
    assert np.array_equal(Precision("float16").restored(kept, 0), rows.astype(np.float16).astype(np.float32))


@pytest.mark.parametrize("store", STORES)
def test_a_file_gives_float32_whatever_it_holds(store, rng, tmp_path):
    """Whole layers and some sentences, over row groups and layers of unlike sizes."""
    layers = {number: (rng.standard_normal((10, 6)) * 10**number).astype(np.float32) for number in (0, 3)}
    scales = {number: scales_of(np.abs(rows).max(axis=0)) for number, rows in layers.items()}
    precision = Precision(store, scales if store == "int8" else {})
    file = written(tmp_path / "v.parquet", layers, precision, (slice(0, 4), slice(4, 10)))
    assert file.precision.store == store
    for number, rows in layers.items():
        expected = precision.restored(precision.reduced(rows, number), number)
        assert file.layer(number).dtype == np.float32
        assert np.array_equal(file.layer(number), expected)
        assert np.array_equal(file.rows(number, np.array([3, 4, 9])), expected[[3, 4, 9]])
        assert np.array_equal(expected, rows) == (store == "float32")
        assert store != "int8" or np.array_equal(file.precision.scales[number], scales[number])


def test_a_number_takes_the_bytes_that_it_is_said_to(rng, tmp_path):
    """Parquet has no number of one byte: without its dictionary int8 would take four."""
    rows = rng.standard_normal((500, 100)).astype(np.float32)
    for store, size in {"float32": 4, "float16": 2, "int8": 1}.items():
        path = tmp_path / f"{store}.parquet"
        written(path, {0: rows}, whole(rows) if store == "int8" else Precision(store))
        column = pq.read_metadata(path).row_group(0).column(1)
        beside = 10 * len(rows) + 2000  # where each list ends; the dictionary
        assert rows.size * size <= column.total_compressed_size <= rows.size * size + beside


@pytest.mark.parametrize("store", ["float16", "int8"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(store, bad):
    rows = np.ones((3, 2), np.float32)
    rows[1, 1] = bad
    says = f"pool.store is {store}, but the vector of sentence 8 at layer 4 has a number that is not finite: set"
    with pytest.raises(InputError, match=says):
        Precision(store).check(rows, 4, first=7)
    Precision("float32").check(rows, 4, first=7)


def test_float16_refuses_what_would_become_infinite_and_nothing_else():
    fits = np.float32([[65519.0, -65519.0]])
    assert np.isfinite(Precision("float16").reduced(fits, 0)).all()
    Precision("float16").check(fits, 0, 0)
    with pytest.raises(
        InputError, match=r"sentence 5 at layer 2 has a number of 65,520, and float16 ends at 65,504.*int8"
    ):
        Precision("float16").check(np.float32([[1, 1], [1, -65520]]), 2, 4)
    Precision("int8").check(np.float32([[65520]]), 0, 0)


def test_more_scales_than_a_footer_holds_are_refused():
    check_scales("int8", MOST_SCALES)
    check_scales("float16", MOST_SCALES + 1)
    with pytest.raises(
        InputError, match=r"each of the 2,000,001 numbers of a sentence, but at most 2,000,000.*float16"
    ):
        check_scales("int8", MOST_SCALES + 1)
