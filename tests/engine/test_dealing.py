"""What goes next: every item once but for those that were given back, results in order, a bounded number ahead."""

from itertools import islice

import pytest

from pipeline.engine.dealing import Deal


def play(rng, count, ahead, losses):
    """Deal items to workers that finish in any order and lose some -> results, and the most that were ahead."""
    items, given, most, results = iter(range(count)), [], 0, []
    taken = []

    def counted():
        for item in items:
            taken.append(item)
            yield item

    deal = Deal(counted(), ahead)
    while True:
        while (number := deal.take()) is not None:
            given.append(number)
        most = max(most, len(taken) - len(results))
        if deal.over:
            return results, most
        number = given.pop(int(rng.integers(len(given))))
        if losses and rng.random() < 0.3:
            losses -= 1
            deal.give_back(number)
        else:
            deal.finish(number, deal.held[number] ** 2)
        results += deal.in_order()


@pytest.mark.parametrize("count", [0, 1, 7, 50])
@pytest.mark.parametrize("ahead", [1, 4, 100])
def test_results_are_in_order_whatever_finishes_first_and_is_lost(rng, count, ahead):
    results, most = play(rng, count, ahead, losses=20)
    assert results == [item**2 for item in range(count)]
    assert most <= ahead


def test_an_item_that_comes_back_goes_before_those_that_were_not_dealt(rng):
    deal = Deal(range(10), 6)
    dealt = [deal.take() for _ in range(4)]
    assert dealt == [0, 1, 2, 3]
    deal.give_back(2)
    deal.give_back(0)
    assert [deal.take() for _ in range(3)] == [0, 2, 4]


def test_nothing_is_taken_before_there_is_room():
    endless = iter(range(10**9))
    deal = Deal(endless, 3)
    assert [deal.take() for _ in range(5)] == [0, 1, 2, None, None]
    deal.finish(1, "b")
    assert deal.take() is None  # its result waits for that of 0
    deal.finish(0, "a")
    assert list(islice(deal.in_order(), 5)) == ["a", "b"]
    assert [deal.take() for _ in range(3)] == [3, 4, None]
    assert next(endless) == 5
