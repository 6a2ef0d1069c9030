"""Running sums against masks, in one block and in many."""

import numpy as np
import pytest

from pipeline.stats import running_sums
from pipeline.stats.ranks import order_of
from pipeline.stats.running_sums import LEVELS, RunningSums, blocks_of

COLUMNS = 6
MANY = pytest.mark.parametrize("cells", [1 << 17, 2 * LEVELS * COLUMNS, 1])  # one block, blocks of 64 ranks, of 32


def walked(sums, blocks, factors):
    """What a walk looks up: {lone, upto, below: (B,)}, and W(<) and W(<=) of all groups, (G, B) each."""
    found, groups = dict.fromkeys(("lone", "upto", "below"), 0), []
    for block, below, upto in sums.walk(blocks):
        found = {name: total + sums.product(factors, getattr(block, name)) for name, total in found.items()}
        groups.append((below, upto))
    return found, *(np.concatenate(of_blocks) for of_blocks in zip(*groups))


def by_masks(values, weights, factors, wanted):
    """The same, from its definition."""
    size = (values[:, None] == values).sum(axis=1)
    upto = np.array([weights[values <= value].sum(axis=0) for value in values])
    below = np.array([weights[values < value].sum(axis=0) for value in values])
    lone, tied = wanted & (size == 1), wanted & (size > 1)
    found = {
        "lone": (factors * upto)[lone].sum(axis=0),
        "upto": (factors * upto)[tied].sum(axis=0),
        "below": (factors * below)[tied].sum(axis=0),
    }
    first = np.unique(values, return_index=True)[1]
    return found, below[first], upto[first]


def compare(values, weights, factors, wanted):
    order = order_of(values)
    blocks = blocks_of(order, wanted, np.ones(len(order.ends), bool), weights.shape[1])
    found, *groups = walked(RunningSums(weights, len(blocks[0].layout)), blocks, factors)
    expected, *of_masks = by_masks(values, weights.astype(np.int64), factors.astype(np.int64), wanted)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
    assert all(np.array_equal(of_walk, of_mask) for of_walk, of_mask in zip(groups, of_masks))
    return blocks


@MANY
@pytest.mark.parametrize("decimals", [0, 1, 9])  # groups that span blocks, small ones, and no ties
@pytest.mark.parametrize("n", [1, 2, LEVELS - 1, LEVELS, LEVELS + 1, 5 * LEVELS, 9 * LEVELS + 3])
def test_sums_that_are_looked_up_equal_masks(rng, monkeypatch, cells, decimals, n):
    monkeypatch.setattr(running_sums, "CELLS", cells)
    values, weights = np.round(rng.standard_normal(n), decimals), rng.integers(0, 9, (n, COLUMNS), np.uint8)
    compare(values, weights, rng.integers(-50, 50, (n, COLUMNS)), rng.random(n) < 0.6)


@MANY
def test_equal_values_are_one_group_in_however_many_blocks(rng, monkeypatch, cells):
    monkeypatch.setattr(running_sums, "CELLS", cells)
    n = 7 * LEVELS + 5
    weights = rng.integers(0, 9, (n, COLUMNS), np.uint8)
    compare(np.zeros(n), weights, rng.integers(0, 9, (n, COLUMNS)), np.ones(n, bool))


@pytest.mark.parametrize("at", [LEVELS - 1, LEVELS, LEVELS + 1])
def test_groups_may_end_before_at_and_behind_the_border_of_a_block(rng, monkeypatch, at):
    monkeypatch.setattr(running_sums, "CELLS", 1)
    values = rng.permutation(np.append(np.arange(at) // 2, at + np.arange(3 * LEVELS) // 3))
    weights = rng.integers(0, 9, (len(values), COLUMNS), np.uint8)
    blocks = compare(values, weights, rng.integers(0, 9, weights.shape), np.ones(len(values), bool))
    assert len(blocks) > 3


@MANY
@pytest.mark.parametrize(("most", "kind"), [(255, np.uint8), (60_000, np.uint16), (1 << 24, np.uint32)])
def test_sums_do_not_overflow_the_type_of_the_weights(rng, monkeypatch, cells, most, kind):
    monkeypatch.setattr(running_sums, "CELLS", cells)
    n = 200
    weights = np.full((n, COLUMNS), most if kind is not np.uint32 else most - 1, kind)
    compare(np.round(rng.standard_normal(n), 1), weights, rng.integers(0, 9, weights.shape), np.ones(n, bool))


@pytest.mark.parametrize(("total", "kind"), [((1 << 16) - 1, np.uint16), (1 << 16, np.uint32)])
def test_sums_take_two_bytes_while_they_fit(total, kind):
    weights = np.array([[total - 1], [1]])
    blocks = compare(np.array([0.0, 1.0]), weights, np.ones((2, 1)), np.ones(2, bool))
    assert RunningSums(weights, len(blocks[0].layout)).sums.dtype == kind


def test_the_same_sums_can_be_walked_again(rng):
    values, weights = rng.standard_normal((2, 70)), rng.integers(0, 9, (70, COLUMNS))
    factors, every = rng.integers(0, 9, weights.shape), np.ones(70, bool)
    first, second = (blocks_of(order_of(row), every, every, COLUMNS) for row in values)
    sums = RunningSums(weights, len(first[0].layout))
    walked(sums, first, factors)
    again, fresh = walked(sums, second, factors), walked(RunningSums(weights, len(sums.taken)), second, factors)
    assert np.array_equal(again[0]["lone"], fresh[0]["lone"])


def test_a_block_holds_a_bounded_number_of_sums(rng, monkeypatch):
    monkeypatch.setattr(running_sums, "CELLS", 4096)
    for n in rng.integers(1, 5000, 20):
        blocks = blocks_of(order_of(rng.standard_normal(n)), np.ones(n, bool), np.ones(n, bool), 16)
        assert len({len(block.layout) for block in blocks}) == 1
        assert len(blocks[0].layout) * 16 < 4096 + LEVELS * 16
