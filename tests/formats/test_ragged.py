"""Arrays behind each other against a list of them."""

import numpy as np
import pytest

from pipeline.formats.ragged import Ragged, lengths_of


@pytest.fixture
def arrays(rng):
    return [rng.integers(0, 99, length).astype(np.int32) for length in rng.integers(0, 6, 30)]


def listed(arrays):
    return [array.tolist() for array in arrays]


def test_it_is_a_sequence_of_its_arrays(arrays):
    ragged = Ragged.of(arrays)
    assert (ragged.values.dtype, ragged.offsets.dtype) == (np.int32, np.int64)
    assert len(ragged) == len(arrays)
    assert listed(ragged) == listed(arrays) == listed(Ragged.of(listed(arrays)))
    assert ragged[-1].tolist() == arrays[-1].tolist()
    assert ragged.lengths.tolist() == lengths_of(ragged).tolist() == lengths_of(arrays).tolist()
    assert Ragged.of(ragged) is ragged
    with pytest.raises(IndexError):
        ragged[30]


def test_items_and_slices_are_views(arrays):
    ragged = Ragged.of(arrays)
    longest = int(ragged.lengths.argmax())
    assert np.shares_memory(ragged[longest], ragged.values)
    assert np.shares_memory(ragged[longest : longest + 1].values, ragged.values)


@pytest.mark.parametrize(
    "some", [slice(3, 17), slice(None), slice(-4, None), slice(9, 2), slice(40, 50), slice(1, 20, 3)]
)
def test_slices(arrays, some):
    found = Ragged.of(arrays)[some]
    assert isinstance(found, Ragged)
    assert listed(found) == listed(arrays[some])


def test_rows_in_any_order_and_again(arrays, rng):
    rows = rng.integers(0, 30, 50)
    assert listed(Ragged.of(arrays).take(rows)) == [arrays[row].tolist() for row in rows]
    assert Ragged.of(arrays).lengths_at(rows).tolist() == [len(arrays[row]) for row in rows]
    assert listed(Ragged.of(arrays)[5:].take(np.array([2, 0]))) == listed([arrays[7], arrays[5]])


def test_parts_of_arrays(arrays, rng):
    stop = np.array([rng.integers(0, len(array) + 1) for array in arrays])
    start = np.array([rng.integers(0, end + 1) for end in stop])
    expected = [array[a:b].tolist() for array, a, b in zip(arrays, start, stop)]
    ragged = Ragged.of(arrays)
    assert listed(ragged.within(np.stack([start, stop], axis=1))) == expected
    assert ragged.within(np.stack([0 * start, ragged.lengths], axis=1)) is ragged


@pytest.mark.parametrize("copies", [0, 1, 2])
def test_what_stands_around_an_array(arrays, copies):
    before, between, nothing = np.array([7, 8], np.int32), np.array([9], np.int32), np.array([], np.int32)
    parts = [before, *[None, between, nothing] * copies]
    expected = [[7, 8, *[*array.tolist(), 9] * copies] for array in arrays]
    assert listed(Ragged.of(arrays).among(parts)) == expected


def test_several_are_joined(arrays):
    parts = [Ragged.of(arrays[:3]), Ragged.of([]), Ragged.of(arrays)[3:]]
    assert listed(Ragged.joined(parts)) == listed(arrays)
